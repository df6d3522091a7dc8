"""From samples to packed rows: what a training step reads.

A sample is one developer turn with its declarations, and several independent questions about it. In a row, each
question sees the declarations and itself, never its siblings, and its positions go on where the declarations end:
the dear part, the declarations, is computed once for all of them. Several samples share a row of fixed length.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from callspan.finetune.scratch.batches import Batch, Span, fill
from callspan.finetune.scratch.tokenizer import STOP as _STOP

STOP = frozenset(_STOP)

Encode = Callable[[list[str]], list[list[int]]]
"""Texts to token ids, control tokens written as text."""


@dataclass(frozen=True)
class Turn:
    """A question with the answer that is to be learnt; the question may hold a whole earlier exchange."""

    prompt: str
    """From `<start_of_turn>user` to `<start_of_turn>model` and its line end."""
    completion: str
    """With its stop token."""
    weight: float = 1.0
    kind: str = ""


@dataclass(frozen=True)
class Sample:
    """Declarations, and independent continuations of them."""

    prefix: str
    """From `<bos>` to the line end after the developer turn."""
    turns: list[Turn] = field(default_factory=list)


@dataclass(frozen=True)
class Packed:
    """A sample in token ids."""

    prefix: list[int]
    turns: list[tuple[list[int], list[int], Turn]]
    """Prompt and completion of each turn."""

    @cached_property
    def size(self) -> int:
        """Its length in a row, in tokens."""
        return len(self.prefix) + sum(len(prompt) + len(answer) for prompt, answer, _ in self.turns)


def encode(samples: list[Sample], tokens: Encode, length: int) -> Iterator[Packed]:
    """Encode many samples at once, and cut those longer than a row: turns that do not fit get a row of their own.

    A turn that does not fit even alone is left out.
    """
    texts = [text for s in samples for text in (s.prefix, *(x for t in s.turns for x in (t.prompt, t.completion)))]
    ids = iter(tokens(texts))
    for sample in samples:
        prefix = next(ids)
        turns = [(next(ids), next(ids), turn) for turn in sample.turns]
        for _, completion, turn in turns:
            if not completion or completion[-1] not in STOP or not STOP.isdisjoint(completion[:-1]):
                raise ValueError(f"a completion must end with its stop token, and hold no other: {turn.completion!r}")
        held, room = [], length - len(prefix)
        for turn in turns:
            size = len(turn[0]) + len(turn[1])
            if held and size > room:
                yield Packed(prefix, held)
                held, room = [], length - len(prefix)
            if size <= room:
                held.append(turn)
                room -= size
        if held:
            yield Packed(prefix, held)


class Rows:
    """An endless stream of batches from an endless stream of samples."""

    def __init__(
        self,
        samples: Iterable[Sample],
        tokens: Encode,
        rows: int,
        length: int = 512,
        seed: int | list[int] = 0,
        lm_weight: float = 0.1,
        losses: int | None = None,
    ) -> None:
        self.samples, self.tokens = iter(samples), tokens
        self.losses = losses
        self.rows, self.length, self.lm_weight = rows, length, lm_weight
        self.draw = np.random.default_rng(seed)
        self.open: list[Packed] = []
        self.ahead = 64
        """Samples from which a row may be filled: more waste less and remember more."""
        self.seen = self.answers = 0
        self.used = 0
        """Tokens that are not padding."""

    def __iter__(self) -> Iterator[Batch]:
        """Batches for ever, or until the samples end; the last one may have empty rows."""
        while True:
            rows = [self._row() for _ in range(self.rows)]
            if not any(rows):
                return
            yield fill(rows, self.length, self.lm_weight, self.draw, self.losses)

    def _refill(self) -> None:
        fresh = []
        for sample in self.samples:
            fresh.append(sample)
            if len(fresh) >= self.ahead:
                break
        self.seen += len(fresh)
        self.open.extend(encode(fresh, self.tokens, self.length))

    def _row(self) -> list[list[Span]]:
        """First the oldest sample, then the longest that still fit (best fit, decreasing)."""
        if len(self.open) < self.ahead:
            self._refill()
        if not self.open:
            return []
        taken = [self.open.pop(0)]
        room = self.length - taken[0].size
        while fitting := [i for i, packed in enumerate(self.open) if packed.size <= room]:
            taken.append(self.open.pop(max(fitting, key=lambda i: self.open[i].size)))
            room -= taken[-1].size
        self.used += self.length - room
        self.answers += sum(len(p.turns) for p in taken)
        return [spans(p) for p in taken]


def spans(packed: Packed) -> list[Span]:
    """The pieces of a sample in the order of a row: the prefix is turn 0."""
    start = len(packed.prefix)
    out = [Span(packed.prefix, 0, 0)]
    for number, (prompt, completion, turn) in enumerate(packed.turns, 1):
        out.append(Span(prompt, number, start))
        out.append(Span(completion, number, start + len(prompt), turn.weight, turn.kind))
    return out
