"""For all tests with real processes: a short private directory, and servers in it that are gone after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest


@pytest.fixture
def room() -> Iterator[Path]:
    with harness.short_room() as path:
        yield path


@pytest.fixture
def start(room: Path) -> Iterator[Callable[..., harness.Server]]:
    """Starts servers; what a test leaves running is killed after it."""
    started: list[harness.Server] = []

    def start_one(name: str, *arguments: str | Path, at: str | None = None) -> harness.Server:
        path = room / (at or name.removeprefix("rust-").removeprefix("python-"))
        started.append(harness.start(name, path, *arguments))
        return started[-1]

    yield start_one
    for server in started:
        if server.alive():
            server.kill()
