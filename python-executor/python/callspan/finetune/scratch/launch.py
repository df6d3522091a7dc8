"""Starts the processes of a run, and looks after them."""

import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from callspan.finetune.errors import say
from callspan.finetune.scratch import checkpoint, record, tokenizer
from callspan.finetune.scratch.flat import Flat
from callspan.finetune.scratch.model import Model
from callspan.finetune.scratch.plan import Plan
from callspan.finetune.scratch.source import find, held_out
from callspan.finetune.scratch.train import Shared, Worker

_ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4000000000:glibc.malloc.trim_threshold=8000000000"
_ALLOCATOR += ":glibc.malloc.top_pad=200000000"
"""Large blocks stay with the process and on huge pages: given back and zeroed at each step they cost a third of it."""


def prepare(out: Path, source: str, seed: int, vocabulary: int, samples: int, template: Path) -> int:
    """Make the tokenizer from the first samples, unless it is there; its number of tokens."""
    if not (out / "tokenizer.json").exists():
        say(f"learning {vocabulary} tokens from {samples} samples")
        some = itertools.islice(find(source)(seed, 0), samples)
        texts = (x for s in some for x in (s.prefix, *(y for t in s.turns for y in (t.prompt, t.completion))))
        learnt = tokenizer.train(texts, vocabulary)
        for folder in (out / "best", out):  # the last one says that both are there
            tokenizer.save(learnt, folder, template)
    return Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab_size()


def run(plan: Plan, command: list[str]) -> int:
    """Train; an exit code."""
    past: dict[str, Any] = {"steps": 0, "seconds": 0.0, "drawn": [0] * plan.processes, "best": -1e9}
    old = checkpoint.load(plan.out / "checkpoint.pt")
    if old is not None:
        if old["identity"] != plan.identity():
            raise ValueError(f"{plan.out} holds another run ({json.dumps(old['identity'])}): take another --out")
        past = old
        say(f"going on from step {past['steps']}, {past['seconds'] / 60:.1f} minutes in")
    shared = _share(plan, past)
    if plan.progress(past["seconds"], past["steps"]) >= 1:
        say("this run is over: give it more --minutes or --tokens, or take another --out")
        return 0
    record.begin(plan, command)
    past = {key: past[key] for key in ("steps", "seconds", "drawn")}
    _listen(shared)
    code = _processes(plan, shared, past) if plan.device == "cpu" else _alone(plan, shared, past)
    if code == 0:
        record.end(plan)
    return code


def _share(plan: Plan, past: dict[str, Any]) -> Shared:
    model = Model(plan.shape)
    model.start(plan.seed)
    flat = Flat(model, plan.processes, plan.device)
    if "flat" in past:
        flat.load(past["flat"])
    kinds = len({turn.kind for sample in held_out(plan) for turn in sample.turns})

    def make(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.float64).share_memory_()

    barrier = multiprocessing.get_context("spawn").Barrier(plan.processes) if plan.processes > 1 else None
    out = Shared(flat, barrier, make(3), make(plan.processes, 6), make(plan.processes, kinds, 4), make(1))
    out.orders[2] = past["best"]
    return out


def _listen(shared: Shared) -> None:
    """Save before stopping, where a person or the system asks to stop."""

    def ask(*_: object) -> None:
        say("saving, then stopping")
        shared.asked[0] = 1

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, ask)


def _alone(plan: Plan, shared: Shared, past: dict[str, Any]) -> int:
    Worker(0, plan, shared, past).train()
    return 0


def _processes(plan: Plan, shared: Shared, past: dict[str, Any]) -> int:
    """One single-threaded process per core: threads of one process wait for each other at every operation."""
    os.environ["GLIBC_TUNABLES"] = _ALLOCATOR  # read by the dynamic linker of the children, which are new programs
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    context = multiprocessing.get_context("spawn")
    team = [context.Process(target=_child, args=(i, plan, shared, past)) for i in range(plan.processes)]
    for member in team:
        member.start()
    while any(member.is_alive() for member in team):
        multiprocessing.connection.wait([member.sentinel for member in team if member.is_alive()], timeout=1)
        if any(member.exitcode for member in team):
            for member in team:
                member.kill()
    return 1 if any(member.exitcode for member in team) else 0


def _child(number: int, plan: Plan, shared: Shared, past: dict[str, Any]) -> None:
    """A process of the run. It ends when its parent does, however that ends."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        Worker(number, plan, shared, past).train()
    except ValueError as error:
        say(f"process {number}: {error}")
        sys.exit(1)
