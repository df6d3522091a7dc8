"""All weights of a model in one long vector, which the training processes share.

One process per core computes gradients of its own rows; then each updates its own pieces of the vector, from the sum
of everybody's gradients, in a fixed order: so a run with the same seed and as many processes gives the same weights.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from callspan.finetune.scratch.model import Model

_LINE = 64
"""Weights start on multiples of so many elements, so that no two processes write to one cache line."""


@dataclass(frozen=True)
class Piece:
    """A part of the vector that is updated as one: a matrix by Muon, anything else by AdamW."""

    start: int
    shape: tuple[int, ...]
    muon: bool

    @property
    def size(self) -> int:
        """Its number of weights."""
        return int(torch.Size(self.shape).numel())

    @property
    def cost(self) -> float:
        """Roughly what its update costs, in element operations."""
        return self.size * (min(self.shape) if self.muon else 30.0)

    def of(self, vector: Tensor) -> Tensor:
        """Its view [shape] of a vector [size of the model]."""
        return vector[self.start : self.start + self.size].view(self.shape)


class Flat:
    """The shared vectors: weights in bf16 to compute with, the same in float32 to update, gradients, moments."""

    def __init__(self, model: Model, processes: int, device: str = "cpu") -> None:
        places, end = {}, 0
        for name, weight in model.named_parameters():
            places[name] = end
            end += -(-weight.numel() // _LINE) * _LINE
        self.places, self.size = places, end

        def make(*shape: int, kind: torch.dtype = torch.float32) -> Tensor:
            made = torch.zeros(shape, dtype=kind, device=device)
            return made.share_memory_() if device == "cpu" else made

        self.weights, self.master = make(end, kind=torch.bfloat16), make(end)
        self.grads = make(processes, end, kind=torch.bfloat16)
        self.first, self.second, self.mean = make(end), make(end), make(end)
        """Momentum, squares (AdamW's only), and the running mean of the weights."""
        for name, weight in model.named_parameters():
            self.master[places[name] : places[name] + weight.numel()] = weight.detach().flatten().to(device)
        self.mean.copy_(self.master)
        self.weights.copy_(self.master)

    def bind(self, model: Model, process: int) -> None:
        """Make the model's weights, and their gradients, views of the shared vectors."""
        for name, weight in model.named_parameters():
            here = slice(self.places[name], self.places[name] + weight.numel())
            shape = weight.shape
            weight.data = self.weights[here].view(shape)
            weight.grad = self.grads[process, here].view(shape)

    def pieces(self, model: Model, processes: int) -> list[list[Piece]]:
        """The pieces of each process, about equally dear. Fused projections are cut into what they are made of."""
        found: list[Piece] = []
        for name, weight in model.named_parameters():
            start = self.places[name]
            cuts = [weight.shape[0]]
            if name.endswith("qkv.weight"):
                kv = model.shape.kv_heads * model.shape.head
                cuts = [model.shape.heads * model.shape.head, kv, kv]
            elif name.endswith("gate_up.weight"):
                cuts = [model.shape.mlp] * 2
            elif name == "embedding":
                cuts = [len(part) for part in torch.arange(weight.shape[0]).tensor_split(processes)]
            for cut in cuts:
                shape = (cut, *weight.shape[1:])
                found.append(Piece(start, shape, weight.dim() > 1 and name != "embedding"))
                start += found[-1].size
        shares: list[list[Piece]] = [[] for _ in range(processes)]
        for piece in sorted(found, key=lambda p: -p.cost):
            min(shares, key=lambda share: sum(p.cost for p in share)).append(piece)
        return shares

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold."""
        return {"master": self.master, "first": self.first, "second": self.second, "mean": self.mean}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take a checkpoint's vectors over."""
        for name, vector in self.state().items():
            vector.copy_(state[name])
        self.weights.copy_(self.master)
