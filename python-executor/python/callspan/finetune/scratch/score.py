"""Held-out answers, scored with the right text before each token: exact if every token is the most likely one."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from callspan.finetune.scratch.batches import Batch, seen
from callspan.finetune.scratch.model import veiled
from callspan.finetune.scratch.packing import Encode, Rows, Sample

Run = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""Model.forward, compiled or not."""


def tensors(batch: Batch, device: str) -> list[torch.Tensor]:
    """The arguments of Model.forward."""
    arrays = (batch.ids, batch.positions, seen(batch), batch.where, batch.targets)
    ids, positions, mask, where, targets = (torch.from_numpy(array).to(device) for array in arrays)
    return [ids, positions, veiled(mask), where, targets]


class Held:
    """One process's part of the held-out samples."""

    def __init__(self, samples: list[Sample], tokens: Encode, part: int, parts: int, rows: int, length: int) -> None:
        self.kinds = sorted({turn.kind for sample in samples for turn in sample.turns})
        # All positions may have a loss: an answer must be scored whole.
        mine = Rows(samples[part::parts], tokens, rows, length, lm_weight=0, losses=rows * length)
        self.batches = list(mine)

    @torch.no_grad()
    def score(self, run: Run, device: str) -> NDArray[np.float64]:
        """[kinds, 4]: answers, exact ones, loss in nats, tokens."""
        out = np.zeros((len(self.kinds), 4))
        for batch in self.batches:
            loss, hit = (x.cpu().numpy() for x in run(*tensors(batch, device)))
            answer = batch.owner >= 0
            owner, count = batch.owner[answer], len(batch.kinds)
            missed = np.bincount(owner, ~hit[answer], count)
            spent, size = np.bincount(owner, loss[answer], count), np.bincount(owner, minlength=count)
            for place, kind in enumerate(batch.kinds):
                out[self.kinds.index(kind)] += (1, missed[place] == 0, spent[place], size[place])
        return out


def table(kinds: list[str], counts: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """The scores by kind, and of all as `all`: answers, the share that is exact, the loss of a token in nats."""
    rows: Iterator[tuple[str, NDArray[np.float64]]] = itertools.chain(
        zip(kinds, counts, strict=True), [("all", counts.sum(0))]
    )
    return {
        kind or "none": {
            "answers": int(n),
            "exact": round(exact / max(n, 1), 4),
            "loss": round(loss / max(size, 1), 5),
        }
        for kind, (n, exact, loss, size) in rows
    }
