"""Where samples come from: a function in a module, or a JSONL file."""

import hashlib
import importlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from callspan.finetune.data.lines import MISSHAPEN, why
from callspan.finetune.scratch.packing import Sample, Turn
from callspan.finetune.scratch.plan import Plan

Source = Callable[[int, int], Iterator[Sample]]
"""Seed and worker to samples, for ever."""

HELD_SEED = 1_000_003
"""Added to the seed for held-out samples."""
_SHUFFLED = 4096
"""Lines of a file that are held to be mixed."""


def find(name: str) -> Source:
    """`MODULE:FUNCTION`, or a path to JSONL with {"prefix", "turns": [{"prompt", "completion", "weight", "kind"}]}."""
    if name.endswith(".jsonl"):
        path = Path(name)
        if not path.is_file():
            raise ValueError(f"there is no file {name}")
        return lambda seed, worker: from_file(path, seed, worker)
    module, _, function = name.partition(":")
    if not function:
        raise ValueError(f"a source is MODULE:FUNCTION or a .jsonl file, not {name!r}")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise ValueError(f"{module} has no function {function!r}")
    return found


def parse(place: str, line: str) -> Sample:
    """One line of JSONL, of which `place` tells."""
    try:
        row = json.loads(line)
        return Sample(row["prefix"], [Turn(**turn) for turn in row["turns"]])
    except MISSHAPEN as error:
        raise ValueError(f"{place}: {why(error)}") from None


def from_file(path: Path, seed: int, worker: int) -> Iterator[Sample]:
    """The samples of a file, again and again, mixed anew by each worker and round."""
    for round_ in itertools.count():
        draw = np.random.default_rng([seed, worker, round_])
        held: list[tuple[str, str]] = []
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                held.append((f"{path.name}:{number}", line))
                if len(held) >= _SHUFFLED:
                    place = int(draw.integers(len(held)))
                    held[place], held[-1] = held[-1], held[place]
                    yield parse(*held.pop())
        if not held and round_ == 0:
            raise ValueError(f"{path} holds no samples")
        for place in draw.permutation(len(held)):
            yield parse(*held[place])


def fingerprint(samples: list[Sample]) -> str:
    """SHA-256 of samples: what says in a model card which data it was."""
    hash_ = hashlib.sha256()
    for sample in samples:
        parts = [sample.prefix] + [x for t in sample.turns for x in (t.prompt, t.completion, str(t.weight), t.kind)]
        hash_.update(json.dumps(parts).encode())
    return hash_.hexdigest()


def held_out(plan: Plan) -> list[Sample]:
    """The fixed held-out samples: the first of their source, or of the training source under another seed."""
    samples = find(plan.held or plan.source)(plan.seed + HELD_SEED, 0)
    return list(itertools.islice(samples, plan.held_samples))
