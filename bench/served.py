"""A rust-inference that is measured: built, started with a model, and asked over its socket."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import make_random_model

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def programs(profile: str, *also: str) -> Path:
    """The directory of the programs, compiled with this profile; `also` are further flags of cargo's.

    As `make build` compiles them, all at once: for one alone cargo chooses other features, and compiles anew what is
    below.
    """
    packages = ("-p", "ipc", "-p", "rust-inference", "-p", "python-executor")
    command = ("cargo", "build", "--locked", "--quiet", "--profile", profile, *packages, "--bins", *also)
    subprocess.run(command, cwd=ROOT, check=True)
    return TARGET / ("debug" if profile == "dev" else profile)


def build(profile: str) -> Path:
    """The model's server, compiled with this profile."""
    return programs(profile) / "rust-inference"


def random_model(*, tiny: bool = False) -> Path:
    """The random model's directory; it is made anew when its maker has changed."""
    sources = ("make_random_model.py", "random_vocabulary.py", "random_pieces.txt")
    made_by = hashlib.sha256(b"".join((BENCH / name).read_bytes() for name in sources)).hexdigest()[:16]
    model = TARGET / "bench" / f"random-{'tiny' if tiny else '270m'}-{made_by}"
    if not model.is_dir():
        model.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=model.parent) as room:
            make_random_model.make(Path(room) / "model", tiny=tiny)
            # Another may have been faster: its model is the same.
            with suppress(OSError):
                (Path(room) / "model").rename(model)
    return model


def machine() -> str:
    """What was measured on, and how much else it had to do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} threads; load {os.getloadavg()[0]:.1f}"


class Server:
    """A running program and one connection to it; `with` ends both. `launcher` is what it is started with, as taskset;
    `cache` is where it may keep files of its own."""

    def __init__(
        self, program: Path, *flags: str | Path, launcher: Sequence[str] = (), cache: Path | None = None
    ) -> None:
        self.room = tempfile.TemporaryDirectory(dir="/tmp")
        self.path = Path(self.room.name) / "s"
        command = [*launcher, program, "--socket", self.path, *flags]
        environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        self.number = -1
        self.connection = socket.socket(socket.AF_UNIX)
        for _ in range(12000):
            try:
                self.connection.connect(str(self.path))
            except OSError:
                time.sleep(0.005)
            else:
                break
        else:
            self.process.kill()
            raise SystemExit(f"{program} did not listen; see what it says: {program} --socket {self.path} {flags}")
        self.lines = self.connection.makefile("rb")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.connection.close()
        self.process.terminate()
        self.process.wait()
        self.room.cleanup()

    def ask(self, generate: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The terminal answer, and the seconds from the question to it."""
        self.number += 2
        question = json.dumps({"id": self.number, "generate": generate}).encode() + b"\n"
        started = time.perf_counter()
        self.connection.sendall(question)
        while True:
            line = self.lines.readline()
            if not line:
                raise SystemExit("the server closed the connection")
            answer = json.loads(line)
            if answer.get("id") == self.number and "delta" not in answer:
                return answer, time.perf_counter() - started

    def done(self, generate: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The same, where nothing but an answer will do."""
        answer, seconds = self.ask(generate)
        if "done" not in answer:
            raise SystemExit(f"no answer: {json.dumps(answer)}")
        return answer["done"], seconds
