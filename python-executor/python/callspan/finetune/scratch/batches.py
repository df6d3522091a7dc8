"""The arrays of a batch: tokens, positions, who sees whom, and where there is a loss."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOSSES = 3
"""One in so many positions goes through the head: answers first, the rest a random choice of the other text."""


@dataclass(frozen=True)
class Span:
    """A piece of a sample in a row."""

    ids: list[int]
    turn: int
    """0 for the prefix; a turn sees the prefix and itself."""
    position: int
    """Of its first token, in its own text."""
    weight: float = 0.0
    kind: str | None = None
    """Of an answer; None for the text that is not one."""


@dataclass
class Batch:
    """B packed rows of T tokens, K = B * T / LOSSES positions with a loss."""

    ids: NDArray[np.int32]
    """[B, T] tokens, 0 where there is none."""
    positions: NDArray[np.int32]
    """[B, T] the position of each token in its own text."""
    group: NDArray[np.int32]
    """[B, T] the sample of each token in its row, from 1; 0 for padding."""
    turn: NDArray[np.int32]
    """[B, T] the turn of each token in its sample."""
    where: NDArray[np.int64]
    """[K] flat positions (b * T + t) that predict a token with a loss; padded with 0."""
    targets: NDArray[np.int64]
    """[K] the tokens to predict."""
    weights: NDArray[np.float32]
    """[K] the weight of each loss; 0 for padding."""
    owner: NDArray[np.int32]
    """[K] the answer that it belongs to, as a place in kinds; -1 for other text and padding."""
    kinds: list[str]
    """The kind of each answer."""


def fill(
    rows: list[list[list[Span]]], length: int, lm_weight: float, draw: np.random.Generator, most: int | None = None
) -> Batch:
    """Lay samples (lists of spans) into rows.

    Answers get their own weights. What room is left among the K positions goes to a random choice of the other
    tokens, scaled so that on average each of these weighs lm_weight, but none more than a token of an answer; so a
    language-model loss costs the same head.
    K may be given, as `most`.
    """
    shape = (len(rows), length)
    ids, positions, group, turn = (np.zeros(shape, np.int32) for _ in range(4))
    hit: list[tuple[int, int, float, int]] = []
    kinds: list[str] = []
    other: list[tuple[int, int]] = []
    for b, row in enumerate(rows):
        at = 0
        for number, sample in enumerate(row, 1):
            last = 0  # of the prefix, which predicts the first token of every turn
            for span in sample:
                n = len(span.ids)
                ids[b, at : at + n] = span.ids
                positions[b, at : at + n] = np.arange(span.position, span.position + n)
                group[b, at : at + n] = number
                turn[b, at : at + n] = span.turn
                flat = b * length + at
                if span.kind is not None:
                    hit.extend((flat + i - 1, token, span.weight, len(kinds)) for i, token in enumerate(span.ids))
                    kinds.append(span.kind)
                elif span.turn == 0:
                    last = flat + n - 1
                    other.extend((flat + i - 1, span.ids[i]) for i in range(1, n))
                elif n:
                    other.append((last, span.ids[0]))
                    other.extend((flat + i - 1, span.ids[i]) for i in range(1, n))
                at += n
    most = most or len(rows) * length // LOSSES
    return Batch(ids, positions, group, turn, *_losses(hit, other, most, lm_weight, draw), kinds)


def _losses(
    hit: list[tuple[int, int, float, int]],
    other: list[tuple[int, int]],
    most: int,
    lm_weight: float,
    draw: np.random.Generator,
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Positions, targets, weights and owners, [K] each."""
    if len(hit) > most:  # an unlucky batch: some answers' tokens wait for another time
        hit = [hit[i] for i in sorted(draw.permutation(len(hit))[:most])]
    where, targets = np.zeros(most, np.int64), np.zeros(most, np.int64)
    weights, owner = np.zeros(most, np.float32), np.full(most, -1, np.int32)
    n = len(hit)
    if n:
        where[:n], targets[:n], weights[:n], owner[:n] = zip(*hit, strict=True)
    m = min(most - n, len(other)) if lm_weight > 0 else 0
    if m:
        chosen = np.asarray(other, np.int64)[draw.choice(len(other), m, replace=False)]
        where[n : n + m], targets[n : n + m] = chosen[:, 0], chosen[:, 1]
        weights[n : n + m] = min(1.0, lm_weight * len(other) / m)
    return where, targets, weights, owner


def seen(batch: Batch) -> NDArray[np.bool_]:
    """[B, T, T] whether the token of a row may look at that of a column: its past in its prefix and in its own turn."""
    prefix = np.where(batch.turn == 0, batch.group, -1)
    own = batch.group * (batch.turn.max() + 1) + batch.turn
    # These are B * T * T comparisons, so their number and the size of their numbers are felt in each step.
    group, prefix, own = (x.astype(np.int16) for x in (batch.group, prefix, own))
    near = (group[:, :, None] == prefix[:, None, :]) | (own[:, :, None] == own[:, None, :])
    return near & np.tri(group.shape[1], dtype=np.bool_)
