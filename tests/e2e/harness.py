"""The real programs and a hand-written client for the tests: what a person would type, with a limit on every wait.

The client knows nothing but lines of JSON, so that what it finds is what is on the wire, not what a library of ours
makes of it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "bin"
VENV = ROOT / ".venv"
TOOLS = ROOT / "python-executor" / "tools"

# No single wait may take longer: on two busy cores everything here takes a few seconds.
PATIENCE_S = 60.0
# Bodies that end a request.
TERMINAL = {
    "done",
    "tool_result",
    "tools",
    "welcome",
    "health_report",
    "metrics_report",
    "model_list",
    "embeddings",
    "description",
    "pong",
    "error",
}


def until(condition: Any, what: str, patience_s: float = PATIENCE_S) -> Any:
    """Waits for `condition()` to be true, and returns what it gave."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {patience_s} s in vain for {what}")


@contextmanager
def short_room() -> Iterator[Path]:
    """A directory with a short name, because the path of a Unix socket holds about 100 bytes."""
    path = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@dataclass
class Server:
    """One of our servers, listening on `socket`."""

    name: str
    socket: Path
    process: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Asks it to end as a service manager does, and returns its exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")


def start(name: str, socket_path: Path, *arguments: str | Path) -> Server:
    """Starts `bin/NAME --socket SOCKET ARGUMENTS…` and waits until it takes connections."""
    log = socket_path.with_suffix(".log")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [BIN / name, "--socket", socket_path, *arguments], stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
        )
    server = Server(name, socket_path, process, log)

    def listening() -> bool:
        assert server.alive(), f"{name} ended with {process.returncode}: {server.said()}"
        return accepts(socket_path)

    until(listening, f"{name} to listen")
    return server


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


@dataclass
class Wire:
    """A connection that speaks JSON lines."""

    path: Path
    kept: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(self.path))
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, **frame: Any) -> None:
        self.socket.sendall(json.dumps(frame).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next frame, whosever it is."""
        while b"\n" not in self.buffer:
            piece = self.socket.recv(1 << 16)
            assert piece, f"{self.path} closed the connection; left: {self.buffer!r}"
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, number: int, **body: Any) -> dict[str, Any]:
        """One request and its terminal answer."""
        self.send(id=number, **body)
        return self.finish(number)

    def finish(self, number: int) -> dict[str, Any]:
        """The terminal answer of a request that was sent."""
        while True:
            for frame in self.kept.get(number, []):
                if TERMINAL & frame.keys():
                    return frame
            frame = self.receive()
            self.kept.setdefault(frame.get("id", 0), []).append(frame)


@dataclass
class Ran:
    status: int
    stdout: str
    stderr: str

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


def run(*command: str | Path, patience_s: float = PATIENCE_S, **options: Any) -> Ran:
    """Runs a command to its end. One that does not end is killed with all that it started."""
    process = begin(*command, **options)
    return finish(process, patience_s)


def begin(*command: str | Path, **options: Any) -> subprocess.Popen[str]:
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> Ran:
    try:
        stdout, stderr = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"{process.args} did not end in {patience_s} s\n{stdout}\n{stderr}") from None
    return Ran(process.returncode, stdout, stderr)


def descendants(pid: int) -> dict[int, str]:
    """Every living process below `pid`, with its command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if after_name[0] != "Z":
                parents[int(entry.name)] = int(after_name[1])
    found: dict[int, str] = {}
    level = [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        for child in level:
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            except OSError:
                continue
    return found


def readable(descriptor: Any, patience_s: float) -> bool:
    return bool(select.select([descriptor], [], [], patience_s)[0])
