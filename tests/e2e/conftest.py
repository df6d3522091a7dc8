"""Fixtures: a short private directory for sockets, and running servers that are gone after the test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest


@pytest.fixture
def room() -> Iterator[Path]:
    """A directory with a short name, because the path of a Unix socket holds about 100 bytes."""
    path = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


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


@pytest.fixture
def inference(start: Callable[..., harness.Server]) -> harness.Server:
    return start("rust-inference")


@pytest.fixture
def executor(start: Callable[..., harness.Server]) -> harness.Server:
    return start("python-executor", "--tools", harness.TOOLS, "--venv", harness.VENV)
