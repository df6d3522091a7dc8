"""Draws what a person says to have a tool called, and the values that the call then has."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from callspan.finetune.data.families import Family
from callspan.finetune.data.kinds import Kind, literal
from callspan.finetune.data.phrases import Phrase, Slot
from callspan.finetune.data.values import Said, Values


@dataclass(slots=True)
class Request:
    """A sentence, and the values by argument's path for each call that it asks for."""

    text: str
    values: list[dict[str, Any]]
    # Whether it begins with a value, which stays as it is.
    value_first: bool = False


def draw_request(
    family: Family, phrase: Phrase, params: dict[str, str], values: Values, rng: random.Random
) -> Request | None:
    """One of a phrase's sentences, if the tool has all parameters that it speaks of."""
    pieces = phrase.draw(rng)
    slots = [piece for piece in pieces if isinstance(piece, Slot)]
    if any(slot.arg not in params for slot in slots):
        return None
    lower = rng.random() < 0.12
    drawn: dict[tuple[str, int], Said] = {}
    out: list[str] = []
    said: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            out.append(piece)
            continue
        at = (piece.arg, piece.group)
        kind = family.args[piece.arg].kind
        # A sentence of a data set has a value of its own; now and then another sentence's value takes its place.
        swapped = kind.kind == "string" and kind.values and piece.value == piece.words and rng.random() < 0.3
        if piece.value is not None and not swapped:
            drawn[at] = (_as_typed(literal(kind, piece.value), kind, lower), piece.words)
        elif at not in drawn:
            value, words = _different(kind, drawn, values, rng)
            drawn[at] = (_as_typed(value, kind, lower), words)
        # Values stay as they are: only what is around them is tidied.
        out.append(f"\0{len(said)}\0")
        said.append(drawn[at][1])
    text = re.sub(r"\s+", " ", "".join(out)).strip(" ,")
    text = re.sub(r" ([,.?!])", r"\1", text)
    text = re.sub(r"\0(\d+)\0", lambda m: said[int(m[1])], text).strip()
    if not text:
        return None
    first = next((piece for piece in pieces if isinstance(piece, Slot) or piece.strip()), "")
    return Request(text.lower() if lower else text, _groups(drawn), isinstance(first, Slot))


def _as_typed(value: Any, kind: Kind, lower: bool) -> Any:
    """A value as it is where everything was typed in small letters: what is copied from the text is small, too."""
    if not lower or (kind.item or kind).kind != "string":
        return value
    return [one.lower() for one in value] if isinstance(value, list) else value.lower()


def _different(kind: Kind, drawn: dict[tuple[str, int], Said], values: Values, rng: random.Random) -> Said:
    """A value that no other slot of the same words has: "from Oslo to Oslo" teaches nothing."""
    taken = [words for _, words in drawn.values()]
    for _ in range(4):
        value, words = values.draw(kind, rng)
        if words not in taken:
            break
    return value, words


def _groups(drawn: dict[tuple[str, int], Said]) -> list[dict[str, Any]]:
    """The calls' values: what has no group counts for every call."""
    groups = sorted({group for _, group in drawn if group}) or [0]
    return [{arg: said[0] for (arg, at), said in drawn.items() if at in (0, group)} for group in groups]
