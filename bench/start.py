#!/usr/bin/env python3
"""From starting the program to its first health and its first constrained call, and the memory it then has: the first
start of a model, which packs the weights, and later ones, which map the packed file.

The model is the random one of the 270M shape. usage: bench/start.py [RUNS]
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from served import build, machine, random_model

CALL = {
    "chat": {"messages": [{"role": "user", "content": "How many miles is 12 km?"}]},
    "tools": [
        {
            "name": "convert",
            "description": "Convert a value between units.",
            "parameters": {
                "type": "object",
                "properties": {"value": {"type": "integer"}, "unit": {"enum": ["km", "mile"]}},
                "required": ["value", "unit"],
            },
        }
    ],
    "tool_choice": "required",
    "max_tokens": 64,
}


@dataclass
class Start:
    """One start: milliseconds to two answers, MiB behind them."""

    health: float
    call: float
    memory: float
    peak: float
    packed: str


def start(program: Path, model: Path) -> Start:
    with tempfile.TemporaryDirectory(dir="/tmp") as room:
        path = Path(room) / "s"
        begun = time.perf_counter()
        process = subprocess.Popen([program, "--socket", path, "--model", model], stderr=subprocess.DEVNULL)
        try:
            connection = connected(path, process)
            lines = connection.makefile("rwb")

            def answer(question: dict[str, object]) -> tuple[dict[str, object], float]:
                lines.write(json.dumps(question).encode() + b"\n")
                lines.flush()
                while "delta" in (answer := json.loads(lines.readline())):
                    pass
                return answer, 1000 * (time.perf_counter() - begun)

            health, to_health = answer({"id": 1, "health": {}})
            done, to_call = answer({"id": 3, "generate": CALL})
            if not done.get("done", {}).get("tool_calls"):
                raise SystemExit(f"no call: {done}")
            memory = status(process.pid)
        finally:
            process.terminate()
            process.wait()
    details = health["health_report"]["details"]
    return Start(to_health, to_call, memory["VmRSS"], memory["VmHWM"], details["packed_cache"])


def connected(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    while process.poll() is None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            time.sleep(0.0005)
        else:
            return connection
    raise SystemExit("the server ended before it listened")


def status(pid: int) -> dict[str, float]:
    """What the kernel says of a process's memory, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    said = (line.split(":", 1) for line in lines)
    return {key: int(value.split()[0]) / 1024 for key, value in said if key.startswith("Vm")}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    program = build("release")
    source = random_model()
    with tempfile.TemporaryDirectory(dir=source.parent) as room:
        # A copy, so that the first start is one.
        model = Path(room) / "model"
        shutil.copytree(source, model, ignore=shutil.ignore_patterns("*.packed"))
        first = start(program, model)
        later = [start(program, model) for _ in range(runs)]
    if first.packed != "written" or any(one.packed != "used" for one in later):
        raise SystemExit(f"the packed file was {first.packed}, then {[one.packed for one in later]}")
    print(machine())
    print("\n| | first start | later starts, median (best) |\n| --- | --- | --- |")
    for name, key, unit in [
        ("to the first health", "health", "ms"),
        ("to the end of the first call", "call", "ms"),
        ("memory behind the call (RSS)", "memory", "MiB"),
        ("most memory until then", "peak", "MiB"),
    ]:
        of_later = [getattr(one, key) for one in later]
        print(f"| {name} | {getattr(first, key):.0f} {unit} | {median(of_later):.0f} ({min(of_later):.0f}) {unit} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
