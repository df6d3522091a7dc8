"""Writes the generated evaluation set: families, sentences and values that training never saw.

    python -m callspan.finetune.heldout --out generated.jsonl [--each 300] [--natural natural.jsonl]

A line is a case of `callspan.evaluate`. With `--natural` the cases come from the held-out part of the data sets instead (their licences
are theirs: such a file is not for the repository).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from callspan.finetune.generate import Generator
from callspan.finetune.samples import Sample, Turn
from callspan.finetune.world import World

KINDS = ("one", "several", "parallel", "refuse", "ask", "answer", "error")


def kind_of(sample: Sample, turn: Turn) -> str:
    """The kind under which a case is counted."""
    if turn.kind == "call":
        return "one" if len(sample.tools) == 1 else "several"
    return turn.kind


def case(sample: Sample, turn: Turn, number: int) -> dict[str, Any]:
    """A turn as a case of `callspan.evaluate`."""
    kind = kind_of(sample, turn)
    if turn.kind in ("call", "parallel"):
        made = [one["function"] for one in turn.answer["tool_calls"]]
        expect: dict[str, Any] = {
            "calls": [{"name": f["name"], "arguments": {k: [v] for k, v in f["arguments"].items()}} for f in made]
        }
    elif turn.kind in ("answer", "error"):
        expect = {"answer": turn.about}
    elif turn.kind == "ask":
        expect = {"no_call": "ask", "about": turn.about}
    else:
        expect = {"no_call": "refuse"}
    messages = [_message(m) for m in turn.messages]
    return {"id": f"{kind}-{number:04}", "kind": kind, "family": turn.origin, "tools": sample.tools, "messages": messages, "expect": expect}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """A message as OpenAI's API has it: arguments and results are JSON in a text."""
    out = dict(message)
    if calls := out.get("tool_calls"):
        out["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": c["function"]["name"], "arguments": json.dumps(c["function"]["arguments"])}}
            for i, c in enumerate(calls)
        ]
        out["content"] = None
    if out["role"] == "tool":
        out |= {"tool_call_id": "call_0", "content": json.dumps(out["content"], ensure_ascii=False)}
    return out


def write(world: World, out: Path, each: int, seed: int) -> Counter[str]:
    """Writes `each` cases of every kind; how many there are."""
    counts: Counter[str] = Counter()
    cases = []
    for sample in Generator(world, seed):
        for turn in sample.turns:
            kind = kind_of(sample, turn)
            wanted = max(1, each // 6) if kind in ("answer", "error") else each
            # Families made up on the spot are no unseen families but unseen words, and data sets' own are asked for apart.
            known = turn.origin in world.by_key or kind == "refuse" and turn.origin == "foreign"
            if kind in KINDS and known and counts[kind] < wanted:
                counts[kind] += 1
                cases.append(case(sample, turn, counts[kind]))
        if all(counts[k] >= (max(1, each // 6) if k in ("answer", "error") else each) for k in KINDS):
            break
    cases.sort(key=lambda c: (KINDS.index(c["kind"]), c["id"]))
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(c, ensure_ascii=False, separators=(",", ":")) + "\n" for c in cases)
    return counts


def main() -> None:
    """Writes the set."""
    parser = argparse.ArgumentParser(prog="python -m callspan.finetune.heldout", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON lines to write")
    parser.add_argument("--each", type=int, default=300, metavar="N", help="cases of each kind (300); answers and errors a sixth")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--natural", type=Path, metavar="FILE", help="what callspan.finetune.natural wrote: cases from there")
    options = parser.parse_args()
    world = World(training=False, natural=options.natural, written=options.natural is None)
    counts = write(world, options.out, options.each, options.seed)
    print(f"{options.out}: " + ", ".join(f"{counts[k]} {k}" for k in KINDS))  # noqa: T201


if __name__ == "__main__":
    main()
