"""Draws what a person says to have a tool called, and the values that the call then has."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from callspan.finetune.families import Arg, Family
from callspan.finetune.kinds import Kind, literal
from callspan.finetune.phrases import Phrase, Slot
from callspan.finetune.sides import held_out_sentence
from callspan.finetune.values import Said, Values
from callspan.finetune.wording import AFTER, BEFORE, LINKS

COURTESY = re.compile(r"\b(please|could|can|would|hey|hi|hello|thanks|I|I'm|I'd|what|how|is|are|where|when|who|which|do|does|did)\b")
# Beginnings of what is no command: no courtesy fits in front of them.
STATEMENT = re.compile(r"(?i)(the|a|an|my|our|your|his|her|their|this|that|these|those|it|its|they|we|you|he|she|there|time|no|not|any|some|all|too|i|let's|if|for|at|on|in|from|to|with|and|but|so)\b")


@dataclass(slots=True)
class Request:
    """A sentence, and the values by argument's path for each call that it asks for."""

    text: str
    values: list[dict[str, Any]]
    # Whether it begins with a value, which stays as it is.
    value_first: bool = False


def usable(phrase: Phrase, training: bool) -> bool:
    """Whether a sentence is on this side of the split."""
    return held_out_sentence(phrase.source) != training


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
            drawn[at] = (spoken_case(literal(kind, piece.value), kind, lower), piece.words)
        elif at not in drawn:
            drawn[at] = _different(family.args[piece.arg], drawn, values, rng, lower)
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


def spoken_case(value: Any, kind: Kind, lower: bool) -> Any:
    """A value as it is where everything was typed in small letters: what is copied from the text is small, too."""
    if not lower or kind.kind not in ("string", "list"):
        return value
    if isinstance(value, str):
        return value.lower()
    copied = (kind.item or Kind("string")).kind == "string"
    return [v.lower() if copied and isinstance(v, str) else v for v in value] if isinstance(value, list) else value


def _different(arg: Arg, drawn: dict[tuple[str, int], Said], values: Values, rng: random.Random, lower: bool) -> Said:
    """A value that no other slot of the same words has: "from Oslo to Oslo" teaches nothing."""
    said: Said = ("", "")
    for _ in range(4):
        said = values.draw(arg.kind, rng)
        if said[1] not in [other for _, other in drawn.values()]:
            break
    value, words = said
    if arg.kind.kind == "int" and isinstance(value, float):
        value = int(value)
    return spoken_case(value, arg.kind, lower), words


def _groups(drawn: dict[tuple[str, int], Said]) -> list[dict[str, Any]]:
    """The calls' values: what has no group counts for every call."""
    groups = sorted({group for _, group in drawn if group}) or [0]
    return [{arg: said[0] for (arg, at), said in drawn.items() if at in (0, group)} for group in groups]


def decorate(text: str, rng: random.Random, value_first: bool = False) -> str:
    """A request as it is typed: courtesies around it, a capital (but not of a value), a mark at its end, or none."""
    roll = rng.random()
    polite = not value_first and not STATEMENT.match(text) and not COURTESY.search(text) and not re.match(r"[{\d\"']", text)
    if polite and roll < 0.16 and re.match(r"[a-z]+ ", text):
        text = f"{rng.choice(BEFORE)} {text}"
    elif polite and roll < 0.28 and text[-1] not in "?!.":
        text = f"{text}{rng.choice((', ', ' '))}{rng.choice(AFTER)}"
    if rng.random() < 0.6 and not value_first:
        text = text[0].upper() + text[1:]
    if text[-1] not in ".?!" and rng.random() < 0.4:
        asks = re.match(r"(?i)(can|could|would|will|what|how|where|when|who|which|is|are|do|does|did|any)\b", text)
        text += rng.choice("???.") if asks else rng.choice("....!")
    elif text[-1] == "?" and rng.random() < 0.15:
        text = text[:-1]
    return text


def join(texts: list[str], rng: random.Random, keep: bool) -> str:
    """Several requests as one sentence, or, unless their beginnings are to `keep`, as several."""
    texts = [re.sub(r"[.?!]$", "", text) if i + 1 < len(texts) else text for i, text in enumerate(texts)]
    texts = [text if i == 0 else re.sub(r"^(please|hey|hi|ok|okay),? ", "", text) for i, text in enumerate(texts)]
    style = rng.random()
    if style < 0.2 and not keep:
        return " ".join(f"{text[0].upper()}{text[1:]}." if text[-1] not in ".?!" else text for text in texts)
    link = rng.choice(LINKS)
    if len(texts) > 2 and rng.random() < 0.6:
        return ", ".join(texts[:-1]) + link + texts[-1]
    return link.join(texts)
