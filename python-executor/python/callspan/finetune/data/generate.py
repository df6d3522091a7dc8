"""Makes function-calling conversations without end, from families of tools: the same seed makes the same ones.

    python -m callspan.finetune.data.generate --out data.jsonl [--count 1000] [--shape trl] [--natural natural.jsonl]

As a command it writes the first of them for trainers of others, a conversation a line; what is held out is not in it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from callspan.finetune.data import formats
from callspan.finetune.data.combine import combined_family
from callspan.finetune.data.commands import WRITE_IT, at_least_one, readable, run, writable
from callspan.finetune.data.samples import Sample, Turn
from callspan.finetune.data.tools import Tool, draw_tool
from callspan.finetune.data.turns.after import answer, dialogue, later
from callspan.finetune.data.turns.asked import Source, expect, request, supplied, typed
from callspan.finetune.data.turns.no_call import chat, refuse
from callspan.finetune.data.turns.several import multi, parallel
from callspan.finetune.data.wire import TRIGGER
from callspan.finetune.data.wording import SYSTEMS
from callspan.finetune.data.world import World

# How often each kind of turn is tried. A turn that asks comes by itself where a sentence lacks what its tool requires.
MIX = {
    "call": 0.45,
    "vague": 0.10,
    "multi": 0.07,
    "parallel": 0.12,
    "refuse": 0.15,
    "chat": 0.02,
    "answer": 0.07,
    "error": 0.02,
    "later": 0.02,
}
# How often an answer is after several calls, if the tools have such a request.
SEVERAL = 0.5


class Generator:
    """Draws samples of one side of the split."""

    def __init__(self, world: World, seed: int, tools: int = 8) -> None:
        """Samples of `seed` with up to so many tools; these may be changed between two samples."""
        self.world = world
        self.tools = tools
        self.rng = random.Random(seed)  # noqa: S311
        self._source = Source(world, self.rng)

    def __iter__(self) -> Iterator[Sample]:
        """Samples for ever."""
        while True:
            sample = self.sample()
            if sample.turns:
                yield sample

    def sample(self) -> Sample:
        """Tools, and turns that each have one of them, or none, to call."""
        tools = self._draw_tools()
        turns = []
        # Many turns with the same tools: the declarations, the dear part, are computed once for all of them.
        for _ in range(self.rng.randint(4, 6) + len(tools)):
            kind = self.rng.choices(list(MIX), list(MIX.values()))[0]
            turn = self._turn(kind, tools)
            if turn is not None:
                turns.append(turn)
        return Sample([tool.schema for tool in tools], turns, self._system())

    def _draw_tools(self) -> list[Tool]:
        """Tools of families that can be told apart, in one sample of eight some that are made up on the spot."""
        rng = self.rng
        count = min(self.tools, rng.choice((1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8)))
        families = self.world.draw_families(count, rng)
        if rng.random() < 0.12:
            for i in range(rng.randint(1, len(families))):
                families[i] = combined_family(self.world.values, rng)
        # Of several that came to the same name one is kept.
        return list({tool.name: tool for tool in [draw_tool(family, rng) for family in families]}.values())

    def _system(self) -> str:
        """The developer's text: mostly the trigger alone."""
        rng = self.rng
        if rng.random() < 0.88:
            return TRIGGER
        line, person = rng.choice(SYSTEMS), rng.choice(self.world.values.pools["person"])
        month, day, hour, minute = rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), rng.randint(0, 59)
        line = line.format(person, m=month, d=day, h=hour, n=minute)
        return line + rng.choice(("\n", "\n", " ")) + TRIGGER

    def _turn(self, kind: str, tools: list[Tool]) -> Turn | None:
        """A turn of a kind, or nothing if these tools have none."""
        source, rng = self._source, self.rng
        if kind == "refuse":
            return refuse(source, tools)
        if kind == "chat":
            return chat(source)
        tool = rng.choice(tools)
        if kind == "parallel":
            return parallel(source, tools)
        if kind == "multi":
            return multi(source, tool)
        failed = kind == "error"
        if (failed or kind == "answer") and rng.random() < SEVERAL:
            called = parallel(source, tools) or multi(source, tool)
            if called is not None:
                return answer(source, called, failed)
        if tool.family.key in self.world.dialogues and (kind == "vague" or rng.random() < 0.8):
            return dialogue(source, tool)
        drawn = request(source, tool, vague=kind == "vague")
        if drawn is None:
            return None
        values = drawn.values[0]
        turn = expect(source, tool, [typed(source, drawn)], values)
        if turn.kind == "ask":
            # The value alone, as an answer to the question, makes the next turn.
            return supplied(source, tool, turn, values) if rng.random() < 0.35 else turn
        if failed or kind == "answer":
            return answer(source, turn, failed)
        return later(source, tools, turn) if kind == "later" else turn


def _write(options: argparse.Namespace) -> str:
    if options.natural:
        readable(options.natural, WRITE_IT)
    out = writable(options.out)
    samples = Generator(World(training=True, natural=options.natural), options.seed)
    return f"{out}: {formats.write(samples, out, options.shape, options.count)} conversations"


def main(arguments: list[str] | None = None) -> int:
    """Writes training data."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune.data.generate", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="the JSON lines to write")
    add("--count", type=at_least_one, default=1000, metavar="N", help="conversations [1000]")
    add("--seed", type=int, default=0, metavar="S", help="another seed, other conversations [0]")
    add("--shape", choices=formats.SHAPES, default="trl", help="of the lines [trl]")
    add(
        "--natural",
        type=Path,
        metavar="FILE",
        help="what callspan.finetune.data.natural wrote, to draw from it as well",
    )
    options = parser.parse_args(arguments)
    return run(lambda: _write(options))


if __name__ == "__main__":
    sys.exit(main())
