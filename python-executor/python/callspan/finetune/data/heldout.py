"""Writes the generated evaluation set: tools, their names and sentences that training never saw.

    python -m callspan.finetune.data.heldout --out generated.jsonl [--each 300] [--natural natural.jsonl]

Values of pools are such, too, as far as the written families go; people's sentences hold what they hold. A line is a
case of `callspan.evaluate`. With `--natural` the cases come from the held-out part of the data sets instead (their
licences are theirs: such a file is not for the repository): what these want done may be some trained tool's, too.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from callspan.finetune.data.commands import WRITE_IT, at_least_one, readable, run, writable
from callspan.finetune.data.generate import Generator
from callspan.finetune.data.lines import write_lines
from callspan.finetune.data.samples import Sample, Turn, as_openai
from callspan.finetune.data.world import World

KINDS = ("one", "several", "parallel", "refuse", "ask", "answer", "error")
ARTICLES = "the|a|an|my|our|your"
# After so many samples without a case that is still wanted, there will be none.
PATIENCE = 20_000


def kind_of(sample: Sample, turn: Turn) -> str:
    """The kind under which a case is counted."""
    if turn.kind == "call":
        return "one" if len(sample.tools) == 1 else "several"
    return turn.kind


def case(sample: Sample, turn: Turn, number: int) -> dict[str, Any]:
    """A turn as a case of `callspan.evaluate`."""
    kind = kind_of(sample, turn)
    return {
        "id": f"{kind}-{number:04}",
        "kind": kind,
        "family": turn.origin,
        "tools": sample.tools,
        "messages": as_openai(turn.messages),
        "expect": _expected(turn),
    }


def _expected(turn: Turn) -> dict[str, Any]:
    if turn.kind in ("call", "parallel"):
        said = str(turn.messages[-1]["content"])
        made = [call["function"] for call in turn.answer["tool_calls"]]
        return {
            "calls": [
                {"name": f["name"], "arguments": {k: accepted(v, said) for k, v in f["arguments"].items()}}
                for f in made
            ]
        }
    if turn.kind in ("answer", "error"):
        return {"answer": turn.about}
    if turn.kind == "ask":
        return {"no_call": "ask", "about": turn.about}
    return {"no_call": "refuse"}


def accepted(value: Any, said: str) -> list[Any]:
    """The values that are right where this one is: an article before a name belongs to it or does not."""
    if isinstance(value, list):
        bare = [accepted(item, "")[-1] for item in value]
        return [value] if bare == value else [value, bare]
    if not isinstance(value, str):
        return [value]
    found = [value]
    if before := re.search(rf"\b({ARTICLES}) {re.escape(value)}(?!\w)", said, re.IGNORECASE):
        found.append(before[0])
    bare = re.sub(rf"^({ARTICLES}) (?=.)", "", value, flags=re.IGNORECASE)
    return found if bare == value else [*found, bare]


def cases(world: World, each: int, seed: int) -> list[dict[str, Any]]:
    """So many cases of every kind, in the order of the kinds; of answers and errors, which are alike, a sixth."""
    wanted = {kind: max(1, each // 6) if kind in ("answer", "error") else each for kind in KINDS}
    counts: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    idle = 0
    for sample in Generator(world, seed):
        before = len(found)
        for turn in sample.turns:
            kind = kind_of(sample, turn)
            # A family made up on the spot has unseen words, but is no unseen family.
            known = turn.origin in world.by_key or (kind == "refuse" and turn.origin == "foreign")
            # A result without a word to look for leaves nothing to judge its answer by.
            told = turn.about or turn.kind not in ("answer", "error")
            if known and told and counts[kind] < wanted.get(kind, 0):
                counts[kind] += 1
                found.append(case(sample, turn, counts[kind]))
        missing = [kind for kind in KINDS if counts[kind] < wanted[kind]]
        if not missing:
            break
        idle = 0 if len(found) > before else idle + 1
        if idle == PATIENCE:
            raise ValueError(f"{PATIENCE} samples have not one more case of: {', '.join(missing)}")
    return sorted(found, key=lambda one: (KINDS.index(one["kind"]), one["id"]))


def _write(options: argparse.Namespace) -> str:
    if options.natural:
        readable(options.natural, WRITE_IT)
    writable(options.out)
    world = World(training=False, natural=options.natural, written=options.natural is None)
    made = cases(world, options.each, options.seed)
    write_lines(options.out, made)
    counts = Counter(one["kind"] for one in made)
    return f"{options.out}: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def main(arguments: list[str] | None = None) -> int:
    """Writes the set."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune.data.heldout", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="the JSON lines to write")
    add(
        "--each",
        type=at_least_one,
        default=300,
        metavar="N",
        help="cases of each kind; answers and errors a sixth [300]",
    )
    add("--seed", type=int, default=7, metavar="S", help="another seed, other cases [7]")
    add("--natural", type=Path, metavar="FILE", help="what callspan.finetune.data.natural wrote: cases from there")
    options = parser.parse_args(arguments)
    return run(lambda: _write(options))


if __name__ == "__main__":
    sys.exit(main())
