"""Sentences with slots and alternatives: `[make it|go up to] {temperature} in the {room#1}`."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

SLOT = re.compile(r"\{([A-Za-z][A-Za-z0-9_.]*)(?:#(\d))?(?:=([^{}|]*?)(?:#(\d))?\|([^{}]*))?\}")


class PhraseError(ValueError):
    """A sentence that breaks the format."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an argument's value stands. With a `value`, `words` are what the sentence says for it."""

    arg: str
    group: int
    value: str | None = None
    words: str = ""


Piece = str | Slot


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence: each part is its alternatives, each of them a run of texts and slots."""

    source: str
    parts: tuple[tuple[tuple[Piece, ...], ...], ...]

    def slots(self) -> list[Slot]:
        """Every slot of every alternative."""
        return [piece for part in self.parts for run in part for piece in run if isinstance(piece, Slot)]

    def certain(self) -> set[str]:
        """The arguments that are there whichever alternatives are drawn."""
        found: set[str] = set()
        for part in self.parts:
            found |= set.intersection(*({p.arg for p in run if isinstance(p, Slot)} for run in part))
        return found

    def draw(self, rng: random.Random) -> list[Piece]:
        """One of the sentences that this can be."""
        return [piece for part in self.parts for piece in (part[0] if len(part) == 1 else rng.choice(part))]


def parse_phrase(source: str) -> Phrase:
    """The sentence that a line holds."""
    parts = []
    for text, options in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", source):
        if text:
            parts.append((_run(text),))
        else:
            # A bar inside of a slot is the slot's.
            alternatives = re.split(r"\|(?![^{}]*\})", options)
            parts.append(tuple(_run(option) for option in alternatives))
    if source.count("[") != source.count("]") or re.search(r"\[[^\]]*\[", source):
        raise PhraseError(f"`{source}`: brackets are not closed, or nested")
    if not parts:
        raise PhraseError("an empty sentence")
    return Phrase(source, tuple(parts))


def _run(text: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = 0
    for found in SLOT.finditer(text):
        if found.start() > end:
            pieces.append(text[end : found.start()])
        pieces.append(Slot(found[1], int(found[2] or found[4] or 0), found[3], found[5] or ""))
        end = found.end()
    if end < len(text):
        pieces.append(text[end:])
    if any(isinstance(piece, str) and re.search(r"[{}]", piece) for piece in pieces):
        raise PhraseError(f"`{text}`: a slot is {{arg}}, {{arg#1}} or {{arg=VALUE|words}}")
    return tuple(pieces)
