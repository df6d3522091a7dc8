"""llama.cpp's server and its own measuring program, at their best settings, spoken to as ours is.

The server is asked over HTTP with the ids of tokens, so that both engines read prompts of the same length.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import setup_llama

# Greedy, and nothing else in the chain of samplers: what costs llama.cpp least.
GREEDY = {"temperature": 0, "samplers": ["top_k"], "top_k": 1, "ignore_eos": True}


class Llama:
    """A running llama-server; `with` ends it."""

    def __init__(self, model: Path, threads: int, cores: list[str], slots: int, context: int, *flags: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [*cores, setup_llama.programs() / "llama-server", "--model", model, "--port", str(self.port)]
        command += ["--threads", str(threads), "--threads-batch", str(threads), "--threads-http", str(slots + 4)]
        command += ["--parallel", str(slots), "--ctx-size", str(context), "--flash-attn", "on", *flags]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Llama:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def connection(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def wait(self) -> None:
        """Until it answers that it is well."""
        for _ in range(6000):
            if self.process.poll() is not None:
                raise SystemExit(f"llama-server ended by itself with {self.process.returncode}: {self.process.args}")
            with suppress(OSError):
                connection = self.connection()
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.005)
        raise SystemExit("llama-server did not start")

    def stream(self, prompt: list[int] | str, tokens: int, **more: Any) -> Iterator[dict[str, Any]]:
        """The events of one completion, the last one with its timings."""
        asked = {"prompt": prompt, "n_predict": tokens, "stream": True, "cache_prompt": True, **GREEDY, **more}
        connection = self.connection()
        with suppress(OSError):
            connection.request("POST", "/completion", json.dumps(asked), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"llama-server answered {response.status}: {response.read()[:500]!r}")
        for line in response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
        connection.close()

    def tokenize(self, text: str) -> list[int]:
        connection = self.connection()
        asked = json.dumps({"content": text, "add_special": False, "parse_special": True})
        connection.request("POST", "/tokenize", asked, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())["tokens"]


def measured(model: Path, threads: int, cores: list[str], *what: str) -> list[dict[str, Any]]:
    """What llama-bench says, a line for each test."""
    command = [*cores, setup_llama.programs() / "llama-bench", "--model", model, "--threads", str(threads)]
    command += ["--output", "jsonl", "--flash-attn", "1", *what]
    environment = os.environ | {"OMP_PROC_BIND": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"llama-bench failed with {done.returncode}: {done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def quantized(source: Path, path: Path) -> Path:
    """The same weights as Q8_0, made by llama.cpp's own tool."""
    if not path.is_file():
        half = path.with_suffix(".half")
        command = [setup_llama.programs() / "llama-quantize", source, half, "Q8_0"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise SystemExit(f"llama-quantize failed: {done.stderr[-1000:]}")
        half.rename(path)
    return path
