#!/usr/bin/env python3
"""What each of the engine's levers is worth: one call over six tools, on random weights of the 270M shape.

Random weights choose at random, but the call's schema leaves them little choice of length, and its mix of forced,
listed and free tokens is near that of real calls. The request is made with all levers, without any, without each and
with each alone, in turns, first with tools that the server has never seen (cold), then with the same tools and another
question (warm). With greedy choice the answer has to be the same in all of them. usage: bench/levers.py [RUNS]
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from served import BENCH, Server, build, machine, random_model

LEVERS = ("forced", "rows", "speculation", "prefix")
CALLED = "create_event"
TOOLS = [
    tool | {"parameters": json.dumps(tool["parameters"])}
    for tool in json.loads((BENCH / "tools" / "levers.json").read_text("utf-8"))
]
# With all levers an answer takes at most this part of the time without any.
LIMIT = 0.40
COUNTERS = ("prompt", "cached", "completion", "forced", "constrained", "free", "speculated")


def settings() -> dict[str, list[str]]:
    """A name for each set of levers that are switched off."""
    every = {"all": [], "none": list(LEVERS)}
    every |= {f"without {lever}": [lever] for lever in LEVERS}
    return every | {f"only {lever}": [other for other in LEVERS if other != lever] for lever in LEVERS}


@dataclass
class Measured:
    """The runs of one setting."""

    usages: list[dict[str, int]] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)

    def add(self, usage: dict[str, Any], seconds: float) -> None:
        self.usages.append({name: int(value) for name, value in usage.items()})
        self.walls.append(1000 * seconds)

    def of(self, name: str) -> float:
        return median(usage.get(name, 0) for usage in self.usages)


def request(nonce: str, question: str, without: list[str]) -> dict[str, Any]:
    """The nonce stands at the very beginning: with a new one no prefix is known."""
    developer = f"Session {nonce}. You are a model that can do function calling with the following functions"
    return {
        "chat": {
            "messages": [
                {"role": "developer", "content": developer},
                {"role": "user", "content": f"Please put lunch with the new team into my calendar, {question}"},
            ]
        },
        "tools": TOOLS,
        "tool_choice": f"function:{CALLED}",
        "max_calls": 1,
        "max_tokens": 128,
        "without": without,
    }


def measure(server: Server, runs: int) -> dict[str, dict[str, Measured]]:
    """By temperature of the cache, then by setting."""
    measured = {warmth: {name: Measured() for name in settings()} for warmth in ("cold", "warm")}
    for run in range(runs):
        for warmth, question in (("cold", "the first of May"), ("warm", "the third of June")):
            for place, (name, without) in enumerate(settings().items()):
                asked = request(f"{run:03}{place:03}", question, without)
                done, seconds = server.done(asked)
                measured[warmth][name].add(done["usage"], seconds)
                if run == 0 and warmth == "warm":
                    plain, _ = server.done(asked | {"without": list(LEVERS)})
                    check(name, calls(done), calls(plain))
    return measured


def calls(done: dict[str, Any]) -> list[tuple[str, str]]:
    return [(call["name"], call["arguments"]) for call in done.get("tool_calls", [])]


def check(name: str, calls: list[tuple[str, str]], plain: list[tuple[str, str]]) -> None:
    if len(calls) != 1 or calls != plain:
        raise SystemExit(f"with the levers {name!r} the calls are {calls}, without any {plain}")


def table(measured: dict[str, Measured]) -> str:
    slowest = median(measured["none"].walls)
    lines = [
        "| levers | passes | tokens a pass | head rows | constraint | prefill | decode | in all | of none |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, of in measured.items():
        passes, wall = of.of("forward_passes"), median(of.walls)
        lines.append(
            f"| {name} | {passes:.0f} | {of.of('completion_tokens') / max(passes, 1):.1f} | {of.of('head_rows'):,.0f} "
            f"| {of.of('constraint_us') / 1000:.2f} ms | {of.of('prefill_us') / 1000:.0f} ms "
            f"| {of.of('decode_us') / 1000:.0f} ms | {wall:.0f} ms | {100 * wall / slowest:.0f} % |"
        )
    return "\n".join(lines)


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with Server(build("release"), "--model", random_model()) as server:
        measured = measure(server, runs)
    print(f"{machine()}; medians of {runs} runs")
    missed = False
    for warmth, of in measured.items():
        counts = ", ".join(f"{of['all'].of(f'{name}_tokens'):.0f} {name}" for name in COUNTERS)
        ratio = median(of["all"].walls) / median(of["none"].walls)
        missed |= warmth == "warm" and ratio > LIMIT
        print(f"\n{warmth}, tokens with all levers: {counts}\n\n{table(of)}\n")
        print(f"{warmth}: all levers take {100 * ratio:.0f} % of the time without them")
    print(f"The promise is for warm: at most {100 * LIMIT:.0f} %.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
