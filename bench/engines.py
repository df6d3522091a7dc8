"""Our engine and llama.cpp behind one face: started on the same cores, asked for the same work, timed from outside."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import peer
from random_vocabulary import PIECES
from served import Server


@dataclass
class Answer:
    """One completion, timed by the client: seconds to its first token and to its end, and what was told."""

    first: float
    whole: float
    prompt: int
    written: int
    told: dict[str, Any] = field(default_factory=dict)


def resident(pid: int) -> float:
    """Megabytes of the process in memory, its part of mapped files included."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1000


class Engine:
    """What both have: a server, timed from before its start; `with` ends it."""

    def __init__(self, start: Callable[[], Server | peer.Llama]) -> None:
        self.began = time.perf_counter()
        self.server = start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)

    def resident(self) -> float:
        return resident(self.server.process.pid)


class Ours(Engine):
    name = "ours"

    def __init__(self, program: Path, model: Path, threads: int, launcher: list[str], cache: Path, *flags: str) -> None:
        command = (program, "--model", model, "--threads", str(threads), *flags)
        super().__init__(lambda: Server(*command, launcher=launcher, cache=cache))

    def complete(self, tokens: int, written: int, seed: int, after: int = 0, *, cached: bool = True) -> Answer:
        """A prompt of so many tokens, `after` so many that are the same for all seeds; other seeds differ."""
        return self.generate({"prompt": words(tokens, seed, after), "max_tokens": written}, cached=cached)

    def generate(self, asked: dict[str, Any], *, cached: bool = True) -> Answer:
        asked = {"sampling": {"temperature": 0}, "stream": True} | asked
        asked["without"] = [*asked.get("without", []), *([] if cached else ["prefix"])]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.server.path))
            question = json.dumps({"id": 1, "generate": asked}).encode() + b"\n"
            began = time.perf_counter()
            connection.sendall(question)
            first = 0.0
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                first = first or time.perf_counter() - began
                if "delta" not in answer:
                    break
            whole = time.perf_counter() - began
        if "done" not in answer:
            raise SystemExit(f"no answer: {json.dumps(answer)[:500]}")
        usage = {name: int(value) for name, value in answer["done"]["usage"].items()}
        return Answer(first, whole, usage["prompt_tokens"], usage["completion_tokens"], usage)


class Llama(Engine):
    def __init__(
        self, name: str, model: Path, threads: int, launcher: list[str], slots: int, context: int, *flags: str
    ) -> None:
        self.name = name
        super().__init__(lambda: peer.Llama(model, threads, launcher, slots, context, *flags))
        self.server.wait()

    def complete(self, tokens: int, written: int, seed: int, after: int = 0, *, cached: bool = True) -> Answer:
        return self.generate(ids(tokens, seed, after), written, cache_prompt=cached)

    def generate(self, prompt: list[int], written: int, **more: Any) -> Answer:
        began = time.perf_counter()
        first, count = 0.0, 0
        event: dict[str, Any] = {}
        for event in self.server.stream(prompt, written, **more):
            first = first or time.perf_counter() - began
            count += bool(event.get("tokens")) or bool(event.get("content"))
        timings = event["timings"]
        return Answer(first, time.perf_counter() - began, len(prompt), timings["predicted_n"], timings)


WORDS = [word for word in PIECES["words"] if word.isalpha()]


def words(tokens: int, seed: int, after: int = 0) -> str:
    """A prompt of so many tokens for ours: each word of the list is one, with the space before it."""
    shared, own = random.Random(0), random.Random(seed)
    chosen = [shared.choice(WORDS) for _ in range(after)] + [own.choice(WORDS) for _ in range(tokens - after)]
    return " " + " ".join(chosen)


def ids(tokens: int, seed: int, after: int = 0) -> list[int]:
    """The same for llama.cpp, by ids of pieces of text."""
    shared, own = random.Random(0), random.Random(seed)
    return [shared.randrange(1000, 200_000) for _ in range(after)] + [
        own.randrange(1000, 200_000) for _ in range(tokens - after)
    ]
