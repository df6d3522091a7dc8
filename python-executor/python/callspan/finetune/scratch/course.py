"""The generator's samples for training from nothing: `python -m callspan.finetune.scratch` draws from here.

The environment variable CALLSPAN_NATURAL names the file that `callspan.finetune.data.natural` wrote; without it only
the written families are learnt from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callspan.finetune.data import wire
from callspan.finetune.data.generate import Generator
from callspan.finetune.data.samples import REFUSAL, Sample
from callspan.finetune.data.world import World
from callspan.finetune.scratch import packing

# Few tools at first: finding and copying are learnt sooner where there is less to look through. Until which sample of
# a worker, and up to how many tools.
COURSE = ((1500, 2), (5000, 4))
DEVELOPMENT = Path(__file__).parents[4] / "eval" / "dev.jsonl"
# Turns of each side that are watched.
HELD = 700


def natural() -> Path | None:
    """The converted data sets, if the environment names them."""
    name = os.environ.get("CALLSPAN_NATURAL")
    return Path(name) if name else None


def samples(seed: int, worker: int) -> Iterator[packing.Sample]:
    """Training samples for ever, another stream for every seed and worker."""
    generator = Generator(World(True, natural()), seed * 1000 + worker)
    drawn = iter(generator)
    number = 0
    while True:
        generator.tools = next((tools for until, tools in COURSE if number < until), 8)
        yield packed(next(drawn), "")
        number += 1


def held(_seed: int, _worker: int) -> Iterator[packing.Sample]:
    """What is watched while training: held-out families, trained ones for comparison, and the development set."""
    for name, training in (("held", False), ("seen", True)):
        world = World(training)
        found = 0
        for sample in Generator(world, 99):
            sample.turns = [turn for turn in sample.turns if turn.origin in world.by_key]
            found += len(sample.turns)
            if sample.turns:
                yield packed(sample, f"{name}-")
            if found > HELD:
                break
    if DEVELOPMENT.exists():
        for line in DEVELOPMENT.read_text("utf-8").splitlines():
            case = json.loads(line)
            if answer := expected(case["expect"]):
                turn = packing.Turn(wire.prompt(case["messages"]), answer, 1.0, f"dev-{case['kind']}")
                yield packing.Sample(wire.prefix(case["tools"]), [turn])


def expected(expect: dict[str, Any]) -> str | None:
    """One right answer to a case of `callspan.evaluate`, if it says one.

    Of the accepted values it has the first, and nothing that may be left out.
    """
    if "calls" in expect:
        made = [(c["name"], {k: v[0] for k, v in c["arguments"].items() if "" not in v}) for c in expect["calls"]]
        return wire.calls(made)
    return wire.prose(REFUSAL).rstrip("\n") if expect.get("no_call") == "refuse" else None


def packed(sample: Sample, mark: str) -> packing.Sample:
    """A sample as the trainer takes it: an answer ends with its stop token."""
    turns = [packing.Turn(t.prompt(), t.completion().rstrip("\n"), 1.0, mark + t.kind) for t in sample.turns]
    return packing.Sample(sample.prefix(), turns)
