"""Fixtures: a short private directory for sockets, and running servers that are gone after the test.

Here are tests with clients that others write: each is asked to do with our servers what its own documents say. They
have packages of their own in `.venv` beside this file.
"""

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
    """Starts rust-inference; what a test leaves running is killed after it."""
    started: list[harness.Server] = []

    def start_one(*arguments: str | Path) -> harness.Server:
        started.append(harness.start("rust-inference", room / f"inference-{len(started)}", *arguments))
        return started[-1]

    yield start_one
    for server in started:
        if server.alive():
            server.kill()
