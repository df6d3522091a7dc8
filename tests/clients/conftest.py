"""Fixtures: running servers with their front doors, and clients of them.

Here are tests with clients that others write: each is asked to do with our servers what its own documents say. They
have packages of their own in `.venv` beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import front
import harness
import pytest
from openai import OpenAI


@contextmanager
def starter(room: Path) -> Iterator[Callable[..., harness.Server]]:
    started: list[harness.Server] = []

    def start_one(*arguments: str | Path) -> harness.Server:
        started.append(harness.start("rust-inference", room / f"inference-{len(started)}", *arguments))
        return started[-1]

    yield start_one
    for server in started:
        if server.alive():
            server.kill()


@pytest.fixture
def start(room: Path) -> Iterator[Callable[..., harness.Server]]:
    """Starts rust-inference; what a test leaves running is killed after it."""
    with starter(room) as start_one:
        yield start_one


@pytest.fixture
def open_front(start: Callable[..., harness.Server], room: Path) -> Callable[..., front.Front]:
    """The same with its front door open."""

    def open_one(*arguments: str | Path) -> front.Front:
        return front.opened(start("--http", "127.0.0.1:0", "--http-socket", room / "http", *arguments), room / "http")

    return open_one


@pytest.fixture(scope="session")
def shared_front() -> Iterator[front.Front]:
    """One server for all tests that leave nothing behind."""
    with harness.short_room() as room, starter(room) as start:
        yield front.opened(start("--http", "127.0.0.1:0", "--http-socket", room / "http"), room / "http")


@pytest.fixture(params=front.WAYS)
def client(shared_front: front.Front, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    """The official client, over TCP and over the Unix socket."""
    with shared_front.openai(request.param) as client:
        yield client


@pytest.fixture(scope="session")
def model(shared_front: front.Front) -> str:
    """The name of the model that is served."""
    with shared_front.openai() as client:
        return client.models.list().data[0].id


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
