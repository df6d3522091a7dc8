#!/usr/bin/env python3
"""Our engine against llama.cpp and against the memory: the same weights, the same cores, one run, in turns.

Everything is asked of the engines as their users ask it; the table goes into bench/README.md. llama.cpp is built on the
first run, which takes a quarter of an hour; the measuring itself takes about ten minutes.
usage: bench/engine.py [--quick] [--threads N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import peer
import random_gguf
import setup_llama
from random_vocabulary import vocabulary
from report import into_readme, write_table
from served import BENCH, TARGET, build, machine, random_model
from workloads import (
    CROWDS,
    GRAMMAR,
    Calls,
    Figures,
    Setting,
    asked_twice,
    crowd,
    llama_passes,
    ours_passes,
    started,
)  # fmt: skip

KINDS = ("Q8_0", "bf16")
# Of the whole int8 model, scales and all, once: what an engine reads to decode a token.
READ_A_TOKEN = 268_098_176 * 34 / 32


class Table:
    """All figures of all rounds, by row and column."""

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, column: str, figures: Figures) -> None:
        for row, figure in figures.items():
            self.figures[row][column].append(figure)

    def of(self, row: str, column: str) -> float | None:
        found = self.figures[row].get(column)
        return median(found) if found else None


def cores(threads: int) -> tuple[list[str], set[int]]:
    """What the engines are started with to stay on as many cores as they have threads, and the cores for the rest."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) <= threads or not shutil.which("taskset"):
        return [], set(mine)
    return ["taskset", "--cpu-list", ",".join(map(str, mine[:threads]))], set(mine[threads:])


def bandwidth(threads: int, launcher: list[str]) -> float:
    """Bytes a second that these cores read of as much memory as the weights take."""
    program = TARGET / "bench" / "read_bandwidth"
    source = BENCH / "read_bandwidth.c"
    if not program.is_file() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", source, "-o", program], check=True)
    command = [*launcher, program, str(round(READ_A_TOKEN / 1e6)), str(threads)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(told.split()[0]) * 1e9


def say(what: str, began: float) -> None:
    print(f"engine: {time.monotonic() - began:4.0f} s: {what}", file=sys.stderr, flush=True)


def measure(setting: Setting, table: Table, rounds: int, *, quick: bool) -> None:
    began = time.monotonic()
    kinds = KINDS[:1] if quick else KINDS
    calls = Calls(setting)
    with tempfile.TemporaryDirectory() as cache:
        for round_ in range(rounds):
            say(f"round {round_ + 1} of {rounds}: prompts, decoding, batches", began)
            table.add("limit", {"bandwidth": bandwidth(setting.threads, setting.launcher)})
            with setting.ours(Path(cache)) as ours:
                table.add("ours", ours_passes(setting, ours))
            for kind in kinds:
                table.add(kind, llama_passes(setting, kind))
            say("400 + 40 tokens, calls", began)
            single(setting, table, Path(cache), calls, kinds)
            say("starting", began)
            for column in ("ours", *kinds):
                table.add(column, started(setting, column))
        for round_ in range(1 if quick else 2):
            for clients in CROWDS[1:3] if quick else CROWDS:
                say(f"{clients} clients", began)
                for column in ("ours", *(kinds if round_ == 0 else kinds[:1])):
                    together(setting, table, Path(cache), column, clients)
    say("done", began)


def single(setting: Setting, table: Table, cache: Path, calls: Calls, kinds: tuple[str, ...]) -> None:
    """One client, its question cold and warm, and its call."""
    with setting.ours(cache) as ours:
        ours.complete(8, 2, setting.fresh())
        table.add("ours", asked_twice(setting, ours))
        figures, written = calls.ours(ours)
        table.add("ours", figures)
    for kind in kinds:
        with setting.llama(kind, 1, 2048, "--swa-full") as llama:
            llama.complete(8, 2, setting.fresh())
            table.add(kind, asked_twice(setting, llama))
            table.add(kind, calls.llama(llama, written, None))
            if kind == "Q8_0":
                table.add("Q8_0, grammar", calls.llama(llama, written, GRAMMAR))


def together(setting: Setting, table: Table, cache: Path, column: str, clients: int) -> None:
    requests = max(1, 8 // clients)
    engine = setting.ours(cache) if column == "ours" else setting.llama(column, clients, 256 * clients)
    with engine:
        engine.complete(8, 2, setting.fresh())
        table.add(column, crowd(setting, engine, clients, requests))


def main() -> int:
    parser = argparse.ArgumentParser(description="Our engine against llama.cpp and against the memory.")
    parser.add_argument("--quick", action="store_true", help="one round, Q8_0 only, fewer clients; about two minutes")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--flags", default="", help="more flags for our server, as --flags=--weights=q4")
    asked = parser.parse_args()
    setup_llama.programs()
    model = random_model()
    bf16 = model / "model-bf16.gguf"
    if not bf16.is_file():
        random_gguf.write(model, "bf16", vocabulary())
    ggufs = {"Q8_0": peer.quantized(bf16, model / "model-q8_0.gguf"), "bf16": bf16}
    launcher, others = cores(asked.threads)
    setting = Setting(build("release"), model, ggufs, asked.threads, launcher, asked.flags.split())
    os.sched_setaffinity(0, others)
    table = Table()
    rounds = 1 if asked.quick else asked.rounds
    measure(setting, table, rounds, quick=asked.quick)
    head = f"{machine()}; {asked.threads} threads; medians of {rounds} rounds"
    (TARGET / "bench" / "engine.json").write_text(json.dumps(table.figures, indent=1), "utf-8")
    text = "\n".join(write_table(table, head, READ_A_TOKEN))
    print(text)
    if not asked.quick:
        into_readme("engine", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
