"""Muon for matrices, AdamW for the rest, and the learning rate over time.

Muon: momentum whose singular values are made equal by a Newton-Schulz iteration (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon), scaled to AdamW's usual step by 0.2 * sqrt(larger side) (arXiv 2502.16982).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from callspan.finetune.scratch.flat import Flat, Piece

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5


@dataclass(frozen=True)
class Rates:
    """What decides the size of a step."""

    muon: float = 3e-3
    adam: float = 3e-3
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.97)
    mean: float = 0.998
    """Of the running mean of the weights; about the last 500 steps."""
    warm_up: int = 60
    """Steps."""
    hold: float = 0.4
    """The share of the time with the whole rate."""
    last: float = 0.02
    """The share of the rate at the end."""
    decay: str = "linear"
    """Or "sqrt": 1 - sqrt, faster at first."""


def factor(rates: Rates, step: int, progress: float) -> float:
    """The share of the learning rate at a step (from 0), where progress (0 to 1) of the time has gone."""
    gone = min(max((progress - rates.hold) / (1 - rates.hold), 0.0), 1.0)
    fallen = math.sqrt(gone) if rates.decay == "sqrt" else gone
    return min(1.0, (step + 1) / rates.warm_up) * (1 - (1 - rates.last) * fallen)


def orthogonal(matrix: Tensor) -> Tensor:
    """[m, n] to about U V^T of its singular value decomposition, in bf16."""
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    a, b, c = _COEFFICIENTS
    for _ in range(_ROUNDS):
        gram = x @ x.t()
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.t() if tall else x


@torch.no_grad()
def update(flat: Flat, pieces: list[Piece], rates: Rates, step: int, share: float) -> None:
    """Update these pieces from the mean of all processes' gradients: step from 0, share as `factor` gives it."""
    for piece in pieces:
        grad = piece.of(flat.grads[0]).float()
        for other in flat.grads[1:]:  # one after the other, so that the sum is always the same
            grad += piece.of(other)
        grad /= len(flat.grads)
        first, master = piece.of(flat.first), piece.of(flat.master)
        if piece.muon:
            first.lerp_(grad, 1 - rates.momentum)
            change = orthogonal(grad.lerp_(first, rates.momentum)).float()
            master.add_(change, alpha=-rates.muon * share * 0.2 * math.sqrt(max(piece.shape)))
        else:
            one, two = rates.betas
            second = piece.of(flat.second)
            first.lerp_(grad, 1 - one)
            second.mul_(two).addcmul_(grad, grad, value=1 - two)
            size = (second / (1 - two ** (step + 1))).sqrt_().add_(1e-10)
            master.addcdiv_(first, size, value=-rates.adam * share / (1 - one ** (step + 1)))
        piece.of(flat.mean).lerp_(master, 1 - min(rates.mean, step / (step + 10)))
        piece.of(flat.weights).copy_(master)
