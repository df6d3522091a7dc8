"""Whether our engine computes from a file what transformers computes from the model that it was made of.

The reference never reads the file: its numbers are rounded as the file's type rounds them, so that what is compared are
names, shapes, metadata and the tokenizer, and not how coarse a type is. That is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from callspan.finetune import engine
from callspan.finetune.data import formats

# How far a logit may be from transformers': two ways to sum in f32 are apart by less than a tenth of it.
TOLERANCE = 1e-3
# Positions at the end of each text of which the type's own loss is told.
TOLD = 8
ROWS = 64


@dataclass(slots=True)
class Parity:
    """What a comparison came to."""

    texts: int = 0
    positions: int = 0
    # The farthest that a logit is from transformers'.
    apart: float = 0.0
    # Texts that the engine cut into other tokens.
    other_tokens: int = 0
    # The mean divergence that the type itself costs.
    rounding: float = 0.0

    @property
    def same(self) -> bool:
        """Whether the file may stay."""
        return self.positions > 0 and self.other_tokens == 0 and self.apart <= TOLERANCE

    def __str__(self) -> str:
        """For a person."""
        tokens = "the same tokens" if not self.other_tokens else f"OTHER TOKENS in {self.other_tokens} of them"
        return (
            f"{self.texts} texts, {self.positions} positions: {tokens}, logits at most {self.apart:.1e} apart "
            f"(allowed: {TOLERANCE:.0e}); the type itself costs a KL divergence of {self.rounding:.1e}"
        )


def texts(data: Sequence[Path] = (), most: int = 8) -> list[str]:
    """What is compared: conversations of our own, and some of the user's."""
    with resources.as_file(resources.files("callspan.finetune").joinpath("parity.jsonl")) as own:
        found = formats.read(own)
    for path in data:
        found += formats.read(path, keep_going=True)[:most]
    return ["".join(formats.pair(example)) for example in found]


def compare(path: Path, model: Any, tokenizer: Any, round_it: Any, given: Sequence[str]) -> Parity:
    """Compares a file with a model; `round_it` rounds the model's numbers to those of the file."""
    import torch

    found = Parity()
    ids = [tokenizer(text, add_special_tokens=False).input_ids for text in given]
    with torch.inference_mode():
        exact = [model(torch.tensor([one]), logits_to_keep=TOLD).logits[0].double().log_softmax(-1) for one in ids]
    round_it(model)
    with torch.inference_mode():
        for one, before, (theirs, rows) in zip(ids, exact, engine.logits(path, given), strict=True):
            found.texts += 1
            if theirs != one:
                found.other_tokens += 1
                continue
            ours = model(torch.tensor([one])).logits[0]
            read = torch.frombuffer(bytearray(rows), dtype=torch.float32).reshape(ours.shape[0], -1)
            for start in range(0, len(one), ROWS):
                apart = (ours[start : start + ROWS] - read[start : start + ROWS]).abs().max().item()
                # What is no number is never near.
                found.apart = max(found.apart, apart if apart == apart else float("inf"))
            behind = ours[-TOLD:].double().log_softmax(-1)
            found.rounding += (before.exp() * (before - behind)).sum(-1).mean().item() / len(given)
            found.positions += len(one)
    return found
