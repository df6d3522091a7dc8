"""A python-executor that is measured from outside: built, started on tools of the bench, called, watched and ended."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import BENCH, ROOT, programs

PAGE = os.sysconf("SC_PAGE_SIZE")


def build(profile: str) -> tuple[Path, Path]:
    """The executor and the client that it is measured with."""
    built = programs(profile, "--example", "sandbox-client")
    return built / "python-executor", built / "examples" / "sandbox-client"


def given(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Path, Path]:
    """What the command line says, and the executor and the client that are to be measured."""
    parser.add_argument("--program", type=Path, help="a python-executor instead of one that is built first")
    parser.add_argument("--client", type=Path, help="a sandbox-client instead of one that is built first")
    arguments = parser.parse_args()
    if arguments.program and arguments.client:
        return arguments, arguments.program, arguments.client
    return arguments, *build("dev")


@dataclass(frozen=True)
class Process:
    """One of an executor's processes, as the kernel sees it. Bytes."""

    pid: int
    name: str
    rss: int
    # Its share of what it has in common with others; nothing where that may not be read.
    pss: int | None


class Executor:
    """A running executor in a room of its own; `with` ends it. Its program is known by its file: a link of the room's
    own, so that its processes are told from any other executor's, whoever their parents are."""

    def __init__(self, program: Path, tools: Path, *flags: str) -> None:
        self.room = tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp")
        room = Path(self.room.name)
        # For an executor that is root and gives its children another uid.
        room.chmod(0o755)
        self.program, self.path, self.temporary = room / "python-executor", room / "s", room / "tmp"
        shutil.copy2(program, self.program)
        self.temporary.mkdir()
        environment = os.environ | {
            "CALLSPAN_PYTHONPATH": str(ROOT / "python-executor" / "python"),
            "TMPDIR": str(self.temporary),
        }
        command = [self.program, "--socket", self.path, "--tools", tools, "--venv", ROOT / ".venv", *flags]
        self.log = (room / "log").open("w+b")
        self.process = subprocess.Popen(command, stderr=self.log, env=environment)
        for _ in range(6000):
            if self.process.poll() is not None or self.answers():
                break
            time.sleep(0.01)
        if self.process.poll() is not None or not self.answers():
            self.log.seek(0)
            said = self.log.read().decode(errors="replace")
            self.end()
            raise SystemExit(f"{program} did not start with {' '.join(flags)}:\n{said}")

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self.stop()
        self.log.close()
        self.room.cleanup()

    def stop(self) -> None:
        """Ends it as a service manager does."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self) -> bool:
        try:
            return bool(self.ask("health", {}))
        except OSError:
            return False

    def ask(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The terminal answer to one request on a connection of its own."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.path))
            connection.sendall(json.dumps({"id": 1, method: body}).encode() + b"\n")
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                if "delta" not in answer:
                    return answer
        raise ConnectionError("the executor closed the connection")

    def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = self.ask("call_tool", {"name": name, "arguments": json.dumps(arguments)})
        if "tool_result" not in answer:
            raise SystemExit(f"no result: {json.dumps(answer)}")
        return answer["tool_result"]

    def health(self) -> dict[str, str]:
        return self.ask("health", {})["health_report"]["details"]

    def processes(self) -> list[Process]:
        """All that run this program: supervisor, zygotes, children, and whatever a tool may have left."""
        return list(running(self.program))

    def files(self) -> list[str]:
        """What there is in its temporary directory."""
        return sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))

    def mounts(self) -> list[str]:
        """Mounts of ours, outside, that have to do with it."""
        lines = Path("/proc/self/mounts").read_text("utf-8").splitlines()
        return [line for line in lines if self.room.name in line]


def running(program: Path) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str((entry / "exe").readlink()).removesuffix(" (deleted)") != str(program):
                continue
            rss = int((entry / "statm").read_text().split()[1]) * PAGE
            name = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # gone, or another user's
            continue
        yield Process(int(entry.name), name, rss, share(entry))


def share(entry: Path) -> int | None:
    try:
        for line in (entry / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


@dataclass
class Calls:
    """What the client tells of the calls it made."""

    seconds: float
    socket_us: list[int]
    wall_us: list[int]
    queue_us: list[int]
    starts: dict[str, int]
    outcomes: dict[str, int]
    said: dict[str, int]

    def add(self, more: Calls) -> None:
        self.socket_us += more.socket_us
        self.wall_us += more.wall_us
        self.queue_us += more.queue_us
        for mine, theirs in ((self.starts, more.starts), (self.outcomes, more.outcomes), (self.said, more.said)):
            for what, count in theirs.items():
                mine[what] = mine.get(what, 0) + count

    def only_ok(self) -> Calls:
        if set(self.outcomes) != {"ok"}:
            raise SystemExit(f"calls that had to be ok ended otherwise: {self.outcomes}, {self.said}")
        return self


class Client:
    """The client program, at work."""

    def __init__(self, program: Path, executor: Executor, tool: str, arguments: dict[str, Any], **options: float):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [program, executor.path, tool, json.dumps(arguments), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def done(self, limit: float | None = None) -> Calls:
        try:
            told, _ = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise SystemExit(f"the client's calls had no answer within {limit:.0f} s") from None
        if self.process.returncode:
            raise SystemExit("the client failed; see what it says above")
        return Calls(**json.loads(told))


def percentile(values: list[int], part: float) -> float:
    """The value that this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


__all__ = ["BENCH", "Calls", "Client", "Executor", "Process", "given", "percentile"]
