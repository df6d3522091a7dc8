"""A Gemma-3-shaped decoder in plain torch, laid out for training speed on a CPU.

It computes what transformers' Gemma3ForCausalLM computes (a test compares the logits), but with what training needs:
fused projections, rows that hold several independent texts under one mask, and logits only where there is a loss.
Source of the architecture: the Gemma 3 report (arXiv 2503.19786) and transformers' modeling_gemma3.py.

Shapes: B rows of T tokens, hidden size D, H query heads of size E, one key/value head group of KV heads, vocabulary V.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from callspan.finetune.scratch.kernels import Attend, GatedGelu

EPSILON = 1e-6
LOCAL_THETA, GLOBAL_THETA = 10_000.0, 1_000_000.0
EVERY = 3
"""Each third layer is called global; as rows are never longer than the window, only its rotation differs here."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model."""

    hidden: int = 256
    layers: int = 8
    mlp: int = 768
    heads: int = 4
    kv_heads: int = 1
    head: int = 64
    vocabulary: int = 8192
    window: int = 512

    def is_global(self, layer: int) -> bool:
        """Whether a layer (from 0) has full attention, and so the slow rotation."""
        return layer % EVERY == EVERY - 1


SIZES = {
    "test": Shape(64, 3, 128, 2, 1, 64, 8192),
    "tiny": Shape(192, 6, 512, 3),
    "middle": Shape(256, 6, 640, 4),
    "small": Shape(256, 8, 768, 4),
    "medium": Shape(320, 8, 960, 5),
    "large": Shape(384, 8, 1024, 6),
}


class Norm(nn.Module):
    """RMS norm with a weight kept as its difference from one, in float32 inside."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """[..., size] to the same."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON)
        return (wide * (1 + self.weight.float())).to(x.dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn heads [B, T, N, E] by angles [B, T, 1, E/2]: the halves of a head are the two coordinates."""
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Attention(nn.Module):
    """Causal attention of grouped query heads, with normed queries and keys."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.q_size, self.kv_size = shape.heads * shape.head, shape.kv_heads * shape.head
        self.qkv = nn.Linear(shape.hidden, self.q_size + 2 * self.kv_size, bias=False)
        self.o = nn.Linear(self.q_size, shape.hidden, bias=False)
        self.q_norm, self.k_norm = Norm(shape.head), Norm(shape.head)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, veil: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]; veil [B, T, T] is 0 where a token may look, -inf elsewhere."""
        rows, length, _ = x.shape
        groups, head = self.shape.kv_heads, self.shape.head
        q, k, v = self.qkv(x).split((self.q_size, self.kv_size, self.kv_size), -1)
        q = rotate(self.q_norm(q.reshape(rows, length, -1, head)), cos, sin)
        k = rotate(self.k_norm(k.reshape(rows, length, groups, head)), cos, sin)
        v = v.reshape(rows, length, groups, head)
        per = self.shape.heads // groups
        out = [
            attend(q[:, :, g * per : (g + 1) * per] * head**-0.5, k[:, :, g], v[:, :, g], veil) for g in range(groups)
        ]
        return self.o(torch.cat(out, 2).reshape(rows, length, -1) if groups > 1 else out[0].reshape(rows, length, -1))


CHUNKS = 4


def attend(q: Tensor, k: Tensor, v: Tensor, veil: Tensor) -> Tensor:
    """Attention of the heads that share a key: q [B, T, N, E], k and v [B, T, E] to [B, T, N, E].

    With one key for all heads, T and N fold into one long axis without moving anything. Naive on purpose: on a CPU
    two batched products and a softmax beat torch's scaled_dot_product_attention in the backward pass. Rows are cut
    into chunks that leave out the keys that are all in their future.
    """
    length = q.shape[1]
    step = length // CHUNKS if length % CHUNKS == 0 else length
    ends = range(step, length + 1, step)
    parts = [
        Attend.apply(q[:, end - step : end], k[:, :end], v[:, :end], veil[:, end - step : end, :end]) for end in ends
    ]
    return torch.cat(parts, 1)


class Block(nn.Module):
    """One layer: attention and a gated MLP, each with a norm before and after."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.mlp, bias=False)
        self.down = nn.Linear(shape.mlp, shape.hidden, bias=False)
        self.norms = nn.ModuleList(Norm(shape.hidden) for _ in range(4))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, veil: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        x = x + self.norms[1](self.attention(self.norms[0](x), cos, sin, veil))
        return x + self.norms[3](self.down(GatedGelu.apply(self.gate_up(self.norms[2](x)))))


class Model(nn.Module):
    """The decoder, with the embedding as its head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden)
        for name, theta in (("local", LOCAL_THETA), ("whole", GLOBAL_THETA)):
            self.register_buffer(name, angles(shape.window, theta, shape.head), persistent=False)

    def start(self, seed: int) -> None:
        """Draw the first weights, as Gemma does: normal with deviation 0.02; norms 1."""
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                if weight.dim() > 1:
                    weight.normal_(0, 0.02, generator=draw)

    def hidden(self, ids: Tensor, positions: Tensor, veil: Tensor) -> Tensor:
        """What the head reads, [B, T, D], for tokens and positions [B, T] and a mask [B, T, T] as `veiled` gives it."""
        weight = self.embedding
        x = functional.embedding(ids, weight) * torch.tensor(self.shape.hidden**0.5).to(weight.dtype)
        turns = [table[:, positions].unsqueeze(3) for table in (self.local, self.whole)]
        for layer, block in enumerate(self.blocks):
            x = block(x, *turns[self.shape.is_global(layer)], veil)
        return self.norm(x)

    def logits(self, ids: Tensor, positions: Tensor, veil: Tensor) -> Tensor:
        """[B, T, V], for checks and scoring; training never makes all of them."""
        return self.hidden(ids, positions, veil) @ self.embedding.t()

    def forward(
        self, ids: Tensor, positions: Tensor, veil: Tensor, where: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The cross-entropy, in nats, of each of K positions, and whether its best token is the target.

        Only these positions go through the head; where [K] holds flat positions b * T + t.
        """
        x = self.hidden(ids, positions, veil).flatten(0, 1).index_select(0, where)
        logits = (x @ self.embedding.t()).float()
        reached = logits.gather(1, targets.unsqueeze(1)).squeeze(1)
        return logits.logsumexp(1) - reached, reached.detach() >= logits.detach().amax(1)


def veiled(seen: Tensor) -> Tensor:
    """0 where a token may look and -inf elsewhere, of any shape.

    Not a part of the model, or torch.compile would compute it anew wherever it is read.
    """
    return torch.zeros(seen.shape, dtype=torch.bfloat16, device=seen.device).masked_fill_(~seen, -torch.inf)


def angles(length: int, theta: float, head: int) -> Tensor:
    """Cosines and sines [2, T, E/2] of the rotation at each position; looked up, as computing them anew is slow."""
    speed = theta ** (-torch.arange(0, head, 2, dtype=torch.float32) / head)
    angle = torch.arange(length).unsqueeze(1) * speed
    return torch.stack((angle.cos(), angle.sin()))
