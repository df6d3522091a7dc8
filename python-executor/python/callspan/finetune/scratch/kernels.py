"""The two places where a CPU loses its time, written so that torch.compile makes single passes of them.

Compiled as they stand in transformers, the softmax runs in four passes over float32 copies and GELU spends 3 ns an
element in tanh; together that was a third of a training step. Both are exact rewritings, not approximations.
"""

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

_SLOPE, _CUBE = 1.5957691216057308, 0.044715
"""tanh-GELU is x * sigmoid(_SLOPE * (x + _CUBE * x^3)); _SLOPE = 2 * sqrt(2 / pi)."""


class GatedGelu(Function):
    """gelu_tanh(gate) * up, in terms of exp, keeping only its inputs."""

    @staticmethod
    def forward(ctx: FunctionCtx, gate_up: Tensor) -> Tensor:
        """[..., 2M] to [..., M]: the gate is the first half."""
        ctx.save_for_backward(gate_up)
        gate, up = (half.float() for half in gate_up.chunk(2, -1))
        return (gate * _open(gate) * up).to(gate_up.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> Tensor:
        """[..., M] to [..., 2M]."""
        (gate_up,) = ctx.saved_tensors
        gate, up = (half.float() for half in gate_up.chunk(2, -1))
        wide, share = grad.float(), _open(gate)
        slope = share + gate * share * (1 - share) * _SLOPE * (1 + 3 * _CUBE * gate * gate)
        # Rounded before they are joined: the other way round both halves are written as float32 first.
        return torch.cat(((wide * up * slope).to(grad.dtype), (wide * gate * share).to(grad.dtype)), -1)


def _open(gate: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-_SLOPE * gate * (1 + _CUBE * gate * gate)))


class Attend(Function):
    """Masked attention of N heads that share a key, with few passes over the scores.

    The division by the sum is done on the result, which is head-size wide, and the backward pass needs no sum over
    keys, as sum_j P_ij dP_ij = dO_i . O_i (FlashAttention, arXiv 2205.14135). The mask is added, as numbers: a
    choice by booleans made this pass six times slower, for want of vector instructions. The sum is of the rounded
    powers: so one loop makes both, and they are the ones that are multiplied with the values.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor, veil: Tensor) -> Tensor:
        """Scaled queries [B, T, N, E], keys and values [B, S, E], 0 or -inf [B, T, S]; to [B, T, N, E]."""
        rows, length, heads, size = q.shape
        scores = torch.bmm(q.reshape(rows, length * heads, size), k.transpose(1, 2)).view(rows, length, heads, -1)
        wide = scores.float() + veil.unsqueeze(2)  # each token sees itself at least
        powers = torch.exp(wide - wide.amax(-1, keepdim=True)).to(q.dtype)
        inverse = 1 / powers.float().sum(-1)
        mixed = torch.bmm(powers.view(rows, length * heads, -1), v).view(q.shape)
        out = (mixed.float() * inverse.unsqueeze(-1)).to(q.dtype)
        ctx.save_for_backward(q, k, v, powers, inverse, out)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """The gradients of q, k and v."""
        q, k, v, powers, inverse, out = ctx.saved_tensors
        rows, length, heads, _ = q.shape
        flat = (rows, length * heads, -1)
        inner = (grad.float() * out.float()).sum(-1)
        scaled = (grad.float() * inverse.unsqueeze(-1)).to(q.dtype)
        d_v = torch.bmm(powers.view(flat).transpose(1, 2), scaled.view(flat))
        d_shares = torch.bmm(scaled.view(flat), v.transpose(1, 2)).view(powers.shape)
        drop = (inner * inverse).unsqueeze(-1)
        d_scores = (powers.float() * (d_shares.float() - drop)).to(q.dtype).view(flat)
        d_q = torch.bmm(d_scores, k).view(q.shape)
        d_k = torch.bmm(d_scores.transpose(1, 2), q.reshape(flat))
        return d_q, d_k, d_v, None
