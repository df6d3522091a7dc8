"""Fixtures: a short private directory, and servers in it that are gone after the test."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import pytest

# What the documents are checked and laid out with, and what is beside this file.
sys.path[:0] = [str(harness.ROOT / "scripts"), str(Path(__file__).parent)]


@pytest.fixture
def room() -> Iterator[Path]:
    """Short, because the path of a Unix socket holds about 100 bytes."""
    path = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(room: Path) -> Iterator[Callable[..., harness.Server]]:
    started: list[harness.Server] = []

    def start_one(name: str, *arguments: str | Path, at: str) -> harness.Server:
        started.append(harness.start(name, room / at, *arguments))
        return started[-1]

    yield start_one
    for server in started:
        if server.alive():
            server.kill()
