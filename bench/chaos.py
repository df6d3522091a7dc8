#!/usr/bin/env python3
"""Bombs and a thousand hangs beside people at work: what the bad calls take must not be taken from the good ones.

Four well-behaved clients call a small tool at a steady pace: first alone, then while others call a fork bomb, a memory
bomb, a disk filler, an output flood, and keep a thousand hanging calls waiting, half of them spinning. The good ones'
p99 must stay within three (--times) times the quiet one, the executor's memory within what the bombs may have, every
bad call has to end with an outcome that names what stopped it, and afterwards nothing may be left: no process, mount
or file.
Only processes that this started are ever bothered, and each bad tool has a hard cap of its own.
usage: bench/chaos.py [--minutes N] [--times N] [--write]
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from executor import BENCH, Calls, Client, Executor, given, percentile
from report import into_readme
from served import machine

MIB = 1 << 20
GOOD, EVERY_MS = 4, 50
# Where a hang ends; the default would only make waiting for a thousand of them longer.
WALL_MS = 1000
# Each bomb's memory limit and scratch, and what all else may take: pipes, results, output that waits to be read.
BOMB, SCRATCH, REST = 512 * MIB, 64 * MIB, 256 * MIB
# How long the last of the queued hangs may take, and all processes to be gone.
PATIENCE, SETTLED = 120, 10


@dataclass(frozen=True)
class Bad:
    """One kind of bad client, and the outcomes that name what its calls may come to."""

    tool: str
    clients: int
    at_once: int
    outcomes: tuple[str, ...]
    every_ms: float = 0


# Who asks too often is told so; that is an outcome for everybody here.
REFUSED = "RESOURCE_EXHAUSTED"
BOMBS = (
    # A refused fork is an exception, which the tool tells of: its own words are looked at.
    Bad("fork_bomb", 1, 2, ("ok", "syscall_killed", "timeout"), 100),
    Bad("memory_bomb", 1, 2, ("memory", "timeout")),
    Bad("disk_filler", 1, 2, ("ok", "crashed", "timeout")),
    Bad("output_flood", 1, 2, ("ok", "timeout")),
)
HANGS = (Bad("sleeper", 4, 125, ("timeout",)), Bad("spinner", 4, 125, ("timeout", "cpu_limit")))


@dataclass
class Verdict:
    wrong: list[str] = field(default_factory=list)

    def expect(self, true: bool, otherwise: str) -> None:
        if not true:
            self.wrong.append(otherwise)


class Watch:
    """The executor's memory, looked at several times a second."""

    def __init__(self, executor: Executor) -> None:
        self.executor, self.over = executor, threading.Event()
        self.peaks = {"processes": 0, "all, RSS": 0, "all, shared parts once": 0, "supervisor, RSS": 0}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.over.wait(0.2):
            found = self.executor.processes()
            now = {
                "processes": len(found),
                "all, RSS": sum(one.rss for one in found),
                "all, shared parts once": sum(one.pss or 0 for one in found),
                "supervisor, RSS": sum(one.rss for one in found if one.pid == self.executor.process.pid),
            }
            self.peaks = {what: max(value, now[what]) for what, value in self.peaks.items()}

    def end(self) -> dict[str, int]:
        self.over.set()
        self.thread.join()
        return self.peaks


def good(client: Path, executor: Executor, seconds: float) -> Calls:
    """The well-behaved, each a process of its own."""
    at_work = []
    for _ in range(GOOD):
        at_work.append(Client(client, executor, "add", {"a": 1, "b": 2}, seconds=seconds, every_ms=EVERY_MS))
        time.sleep(EVERY_MS / 1000 / GOOD)
    told = [one.done(seconds + PATIENCE) for one in at_work]
    together = Calls(seconds, [], [], [], {}, {}, {})
    for one in told:
        together.add(one)
    return together


def settle(executor: Executor, processes: int) -> None:
    """Waits until nothing runs any more and as many processes are there as before; the verdict is another's."""
    until = time.monotonic() + SETTLED
    while time.monotonic() < until:
        details = executor.health()
        if details["running"] == details["waiting"] == "0" and len(executor.processes()) <= processes:
            return
        time.sleep(0.1)


def left(executor: Executor) -> tuple[int, int, list[str]]:
    """Processes, files and mounts. Spares come and go, and may have directories of their own: their number stays."""
    return len(executor.processes()), len(executor.files()), executor.mounts()


def line(name: str, calls: Calls) -> str:
    p50, p99 = (percentile(calls.socket_us, part) for part in (0.5, 0.99))
    ended = ", ".join(f"{count} {what}" for what, count in sorted(calls.outcomes.items()))
    waited = percentile(calls.queue_us, 0.99)
    made = 100 * calls.starts.get("spare", 0) / max(1, len(calls.socket_us))
    figures = f"{len(calls.socket_us)} | {p50 / 1000:.2f} | {p99 / 1000:.2f} | {waited / 1000:.2f} | {made:.0f} %"
    return f"| {name} | {figures} | {ended} |"


def words(calls: Calls) -> str:
    """What the bad calls came to, in the tools' and the executor's words; refusals all say the same."""
    counts: Counter[str] = Counter()
    for said, count in calls.said.items():
        if "are waiting already" not in said:
            counts[re.sub(r"[\d.]+(?=m?s$)", "… ", said)[:100]] += count
    return "; ".join(f"{count} x {said}" for said, count in counts.most_common(3)) or "only refused"


def chaos(executor: Executor, client: Path, seconds: float, times: float, verdict: Verdict) -> Iterator[str]:
    good(client, executor, 1)
    before = left(executor)
    quiet_watch = Watch(executor)
    quiet = good(client, executor, seconds / 2)
    quiet_memory = quiet_watch.end()

    watch = Watch(executor)
    bad = {
        one: Client(
            client, executor, one.tool, {}, seconds=seconds + 2, clients=one.clients, at_once=one.at_once,
            every_ms=one.every_ms,
        )
        for one in (*HANGS, *BOMBS)
    }  # fmt: skip
    time.sleep(1)
    noisy = good(client, executor, seconds)
    ended = {one: at_work.done(PATIENCE) for one, at_work in bad.items()}
    memory = watch.end()
    settle(executor, before[0])
    after = left(executor)
    # The machine's mood may have changed: quiet is before and after.
    later = good(client, executor, seconds / 2)

    yield f"{machine()}; isolation {executor.call('add', {'a': 1, 'b': 2})['isolation']['level']}"
    yield ""
    yield "| clients | calls | p50, ms | p99, ms | p99 of waiting, ms | made ahead | ended |"
    yield "|---|---|---|---|---|---|---|"
    yield line(f"{GOOD} good ones, before", quiet)
    yield line(f"{GOOD} good ones, in chaos", noisy)
    yield line(f"{GOOD} good ones, after", later)
    for one, calls in ended.items():
        yield line(f"{one.tool}, {one.clients * one.at_once} at once", calls)
    yield ""
    for one, calls in ended.items():
        yield f"- {one.tool}: {words(calls)}"
    for what, peak in memory.items():
        quiet_peak = quiet_memory[what]
        if what != "processes":
            quiet_peak, peak = quiet_peak // MIB, peak // MIB
        yield f"- {what}: {quiet_peak} quiet, {peak} in chaos{' MiB' * (what != 'processes')}"

    for calls in (quiet, noisy, later):
        verdict.expect(set(calls.outcomes) == {"ok"}, f"good calls ended as {calls.outcomes}: {list(calls.said)[:5]}")
    limit = percentile(quiet.socket_us + later.socket_us, 0.99)
    p99 = percentile(noisy.socket_us, 0.99)
    yield f"- p99 of the good ones: {p99 / limit:.1f} times the quiet one; at most {times:g}"
    verdict.expect(p99 <= times * limit, f"the good ones' p99 is {p99 / limit:.1f} times the quiet one")
    bombs = sum(one.clients * one.at_once for one in BOMBS)
    bound = quiet_memory["all, shared parts once"] + bombs * BOMB + SCRATCH + REST
    verdict.expect(memory["all, shared parts once"] <= bound, f"all processes took more than {bound // MIB} MiB")
    verdict.expect(
        memory["supervisor, RSS"] <= quiet_memory["supervisor, RSS"] + REST, "the supervisor grew by too much"
    )
    for one, calls in ended.items():
        strange = set(calls.outcomes) - {*one.outcomes, REFUSED}
        verdict.expect(not strange, f"{one.tool} ended as {sorted(strange)}: {list(calls.said)[:5]}")
        verdict.expect("not stopped" not in " ".join(calls.said), f"{one.tool} came to its own cap: nothing stopped it")
        ran = sum(count for what, count in calls.outcomes.items() if what != REFUSED)
        verdict.expect(ran > 0, f"no call of {one.tool} ever ran")
    hanging = sum(one.clients * one.at_once for one in HANGS)
    verdict.expect(hanging >= 1000, f"{hanging} hangs are no thousand")
    for what, was, now in zip(("processes", "files", "mounts"), before, after, strict=True):
        verdict.expect(was == now, f"{what} afterwards: {now}, before: {was}")


def stop(executor: Executor, verdict: Verdict) -> None:
    executor.stop()
    until = time.monotonic() + SETTLED
    while executor.processes() and time.monotonic() < until:
        time.sleep(0.05)
    left = [(one.pid, one.name) for one in executor.processes()]
    verdict.expect(not left, f"processes outlived the executor: {left}")
    verdict.expect(not executor.files(), f"files outlived the executor: {executor.files()[:10]}")
    verdict.expect(not executor.mounts(), f"mounts outlived the executor: {executor.mounts()}")
    verdict.expect(not executor.path.exists(), "the socket outlived the executor")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1, help="how long the chaos lasts")
    parser.add_argument(
        "--times", type=float, default=3, help="the good ones' p99 beside the bad ones, in quiet p99s, that is too much"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    arguments, program, client = given(parser)
    verdict = Verdict()
    with Executor(program, BENCH / "chaos_tools", "--wall-ms", str(WALL_MS)) as executor:
        lines = list(chaos(executor, client, 60 * arguments.minutes, arguments.times, verdict))
        stop(executor, verdict)
    print("\n".join(lines))
    if arguments.write:
        into_readme("chaos", "\n".join(lines))
    for wrong in verdict.wrong:
        print(f"wrong: {wrong}", file=sys.stderr)
    print("failed" if verdict.wrong else "the good ones were served, the bad ones stopped, and nothing is left")
    return bool(verdict.wrong)


if __name__ == "__main__":
    sys.exit(main())
