"""Starting and ending: no leftovers of sockets or processes, and no second server on a socket."""

from __future__ import annotations

import socket
import stat
import subprocess
from pathlib import Path

import pytest
from harness import BIN, TOOLS, VENV, Server, Wire, descendants, run, until

SERVERS = {"rust-inference": [], "python-executor": ["--tools", TOOLS, "--venv", VENV]}


@pytest.mark.parametrize("name", SERVERS)
def test_sigterm_ends_it_cleanly(start, name: str) -> None:
    server: Server = start(name, *SERVERS[name])
    with Wire(server.socket) as wire:
        assert wire.ask(1, ping={"payload": "x"})["pong"] == {"payload": "x"}
    below = descendants(server.process.pid)
    assert server.stop() == 0, server.said()
    assert not server.socket.exists()
    until(lambda: not [pid for pid in below if Path(f"/proc/{pid}").exists()], "its children to end")


@pytest.mark.parametrize("name", SERVERS)
def test_only_its_owner_may_connect(start, name: str) -> None:
    server: Server = start(name, *SERVERS[name])
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", SERVERS)
def test_a_second_server_is_refused(start, name: str) -> None:
    first: Server = start(name, *SERVERS[name])
    second = run(BIN / name, "--socket", first.socket, *SERVERS[name])
    assert second.status != 0
    assert str(first.socket) in second.stderr
    with Wire(first.socket) as wire:
        assert "pong" in wire.ask(1, ping={})


@pytest.mark.parametrize("name", SERVERS)
def test_a_stale_socket_is_taken_over(start, name: str) -> None:
    first: Server = start(name, *SERVERS[name])
    below = descendants(first.process.pid)
    first.kill()
    assert first.socket.exists(), "kill -9 leaves the socket"
    until(lambda: not [pid for pid in below if Path(f"/proc/{pid}").exists()], "its children to die with it")
    second: Server = start(name, *SERVERS[name])
    with Wire(second.socket) as wire:
        assert "pong" in wire.ask(1, ping={})


@pytest.mark.parametrize("name", [*SERVERS, "ipc"])
def test_a_passed_socket_that_it_does_not_listen_on_is_an_error(name: str, room: Path) -> None:
    """Whoever connects to it would wait for ever, while the server is ready on a socket that nobody knows."""
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(str(room / "passed"))
    passed.listen()
    arguments = ["tap", room / "other", room / "up"] if name == "ipc" else ["--socket", room / "other", *SERVERS[name]]
    # LISTEN_PID is known only when the shell that becomes the server is there.
    become = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&0'
    ended = subprocess.run(
        ["sh", "-c", become, "sh", BIN / name, *arguments], stdin=passed, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert f"nobody listens on: {room / 'passed'}" in ended.stderr, ended.stderr
    assert not (room / "other").exists()
