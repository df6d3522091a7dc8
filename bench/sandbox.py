#!/usr/bin/env python3
"""How long a confined call takes and how many there are a second, beside what else one could confine Python with.

Everything in one run. At the executor is what the result says that the call took; through the socket is what a client
in Rust sees on one connection of binary frames. Latencies are those of calls that come a while apart, so that what was
used up is made anew between them; what happens when they do not is in the other two tables.
usage: bench/sandbox.py [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from executor import BENCH, Calls, Client, Executor, given, percentile
from peers import PYTHON, peers
from report import into_readme
from served import ROOT, machine

TOOLS = BENCH / "sandbox_tools"
ADD = ("add", {"a": 1, "b": 2})
TOTAL = ("total", {"values": [1.5, 2.5]})
AIM_EXECUTOR, AIM_SOCKET, AIM_BUBBLEWRAP, AIM_SUSTAINED = 100, 250, 100, 0.8
# Longer than it takes to make another spare.
EVERY_MS = 10


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    calls: int
    peer_calls: int
    bursts: int
    sustained: float
    floor: float
    zygotes: tuple[int, ...]


FULL = Effort(calls=1000, peer_calls=100, bursts=20, sustained=30, floor=5, zygotes=(1, 2, 4))
QUICK = Effort(calls=200, peer_calls=15, bursts=5, sustained=3, floor=1, zygotes=(1, 2))


class Bench:
    def __init__(self, program: Path, client: Path, effort: Effort) -> None:
        self.program, self.client, self.effort = program, client, effort
        asked = subprocess.run([PYTHON, "-c", "import numpy"], capture_output=True)
        self.numpy = asked.returncode == 0

    def executor(self, *flags: str) -> Executor:
        return Executor(self.program, TOOLS, *flags)

    def calls(self, executor: Executor, call: tuple[str, dict[str, object]], **options: float) -> Calls:
        return Client(self.client, executor, *call, **options).done(300).only_ok()

    def apart(self, call: tuple[str, dict[str, object]], *flags: str) -> Calls:
        """Calls a while apart, one after the other, after some that count for nothing."""
        with self.executor(*flags) as executor:
            self.calls(executor, call, calls=20, seconds=60, every_ms=EVERY_MS)
            return self.calls(executor, call, calls=self.effort.calls, seconds=300, every_ms=EVERY_MS)

    def latencies(self) -> Iterator[str]:
        yield "| | p50 | p99 | through the socket: p50 | p99 | made ahead |"
        yield "|---|---|---|---|---|---|"
        ours = {"a spare": (ADD, ()), "forked at the call": (ADD, ("--spares", "0"))}
        if self.numpy:
            ours["a spare, numpy preloaded"] = (TOTAL, ("--preload", "numpy"))
            ours["forked at the call, numpy preloaded"] = (TOTAL, ("--preload", "numpy", "--spares", "0"))
        told = {name: self.apart(call, *flags) for name, (call, flags) in ours.items()}
        for name, calls in told.items():
            share = 100 * calls.starts.get("spare", 0) / len(calls.wall_us)
            yield f"| ours: {name} | {both(calls.wall_us)} | {both(calls.socket_us)} | {share:.0f} % |"
        others = {}
        for name, measure in peers(self.effort.peer_calls, self.numpy):
            try:
                others[name] = measure()
            except RuntimeError as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            yield f"| {name} | {both(others[name])} | | | |"
        yield ""
        spare = told["a spare"]
        at_executor, at_socket = percentile(spare.wall_us, 0.5), percentile(spare.socket_us, 0.5)
        yield aim(
            "p50 at the executor from a spare", f"{at_executor} µs", f"{AIM_EXECUTOR} µs", at_executor <= AIM_EXECUTOR
        )
        yield aim("p50 through the socket from a spare", f"{at_socket} µs", f"{AIM_SOCKET} µs", at_socket <= AIM_SOCKET)
        wrapped = others.get("bubblewrap, Python, json")
        if wrapped:
            times = percentile(wrapped, 0.5) / at_executor
            yield aim(
                "faster than bubblewrap and Python", f"{times:.0f} x", f"{AIM_BUBBLEWRAP} x", times >= AIM_BUBBLEWRAP
            )

    def bursts(self) -> Iterator[str]:
        yield "| calls at once, after half a second of rest | p50 | p99 | made ahead |"
        yield "|---|---|---|---|"
        with self.executor() as executor:
            for at_once in (1, 2, 4, 8, 16):
                seconds = self.effort.bursts / 2
                calls = self.calls(executor, ADD, at_once=at_once, every_ms=500, seconds=seconds)
                share = 100 * calls.starts.get("spare", 0) / len(calls.wall_us)
                yield f"| {at_once} | {both(calls.socket_us)} | {share:.0f} % |"

    def sustained(self) -> Iterator[str]:
        yield "| zygotes | calls a second | p50 | p99 | made ahead | forks a second | calls of forks |"
        yield "|---|---|---|---|---|---|---|"
        shares = []
        for zygotes in self.effort.zygotes:
            before = self.floor()
            with self.executor("--zygotes", str(zygotes)) as executor:
                calls = self.calls(executor, ADD, clients=4, at_once=2, seconds=self.effort.sustained)
            rate = len(calls.wall_us) / calls.seconds
            # The machine's mood may have changed meanwhile.
            floor = (before + self.floor()) / 2
            shares.append(rate / floor)
            made = 100 * calls.starts.get("spare", 0) / len(calls.wall_us)
            row = (f"{rate:,.0f}", both(calls.socket_us), f"{made:.0f} %", f"{floor:,.0f}", f"{100 * shares[-1]:.0f} %")
            yield f"| {zygotes} | {' | '.join(row)} |"
        yield ""
        share = max(shares)
        yield aim(
            f"sustained over {self.effort.sustained:.0f} s, of what forks allow",
            f"{100 * share:.0f} %", f"{100 * AIM_SUSTAINED:.0f} %", share >= AIM_SUSTAINED,
        )  # fmt: skip

    def floor(self) -> float:
        """Forks a second of as many loops as there are processors, each of an interpreter as warm as a zygote's."""
        command = [PYTHON, "-B", BENCH / "fork_floor.py", str(self.effort.floor)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "python-executor" / "python")}
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(os.cpu_count() or 1)
        ]
        told = [one.communicate()[0].split() for one in running]
        return sum(int(forks) / float(seconds) for forks, seconds in told)


def both(values: list[int]) -> str:
    return f"{percentile(values, 0.5):,} µs | {percentile(values, 0.99):,} µs"


def aim(what: str, reached: str, wanted: str, met: bool) -> str:
    return f"- {what}: {reached}; aim: {wanted}{'' if met else ', missed'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls: about a minute")
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    arguments, program, client = given(parser)
    bench = Bench(program, client, QUICK if arguments.quick else FULL)
    lines = [machine(), ""]
    with bench.executor() as executor:
        level = executor.call(*ADD)["isolation"]["level"]
        lines[0] += f"; isolation {level}"
    for part in (bench.latencies, bench.bursts, bench.sustained):
        lines += [*part(), ""]
    text = "\n".join(lines).strip()
    print(text)
    if arguments.write:
        into_readme("sandbox", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
