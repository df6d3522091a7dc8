#!/usr/bin/env python3
"""How much slower is the server that a bare `cargo run` builds than the release build? The promise is: at most twice.

Builds both, asks each the same questions in turns (so that a busy machine disturbs both alike) and compares the best
times. usage: bench/dev_vs_release.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
LIMIT = 2.0

TOOL = {
    "name": "convert",
    "description": "Convert a value between units.",
    "parameters": {"type": "object", "properties": {"value": {"type": "number"}, "unit": {"type": "string"}}},
}
QUESTION = {
    "chat": {"messages": [{"role": "user", "content": "Convert 12 km to miles"}]},
    "tools": [TOOL | {"name": f"convert_{number}"} for number in range(4)],
    "max_tokens": 64,
}


def build(profile: str) -> None:
    subprocess.run(
        ["cargo", "build", "--locked", "--quiet", "-p", "rust-inference", "--profile", profile], cwd=ROOT, check=True
    )


def serve(binary: Path, path: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    process = subprocess.Popen([binary, "--socket", path], stderr=subprocess.DEVNULL)
    for _ in range(300):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            time.sleep(0.1)
        else:
            return process, connection
    raise SystemExit(f"{binary} did not listen")


def ask(connection: socket.socket, number: int) -> float:
    """Seconds from the question to its answer."""
    started = time.perf_counter()
    connection.sendall(json.dumps({"id": number, "generate": QUESTION}).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(1 << 16)
    if "done" not in json.loads(answer):
        raise SystemExit(f"no answer: {answer.decode()}")
    return time.perf_counter() - started


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        servers = {}
        for profile, output in (("dev", "debug"), ("release", "release")):
            build(profile)
            servers[profile] = serve(TARGET / output / "rust-inference", Path(folder) / profile)
        try:
            times = {profile: [] for profile in servers}
            for number in range(1, 2 * rounds, 2):
                for profile, (_, connection) in servers.items():
                    times[profile].append(ask(connection, number))
        finally:
            for process, _ in servers.values():
                process.terminate()
                process.wait()
    best = {profile: 1000 * min(measured) for profile, measured in times.items()}
    ratio = best["dev"] / best["release"]
    print(f"dev {best['dev']:.1f} ms, release {best['release']:.1f} ms an answer: {ratio:.2f} times, limit {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
