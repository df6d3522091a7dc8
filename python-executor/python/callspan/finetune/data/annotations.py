"""Annotated texts of data sets in the family format: what an annotation marks becomes a slot with its value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from callspan.finetune.data.families import Arg, Family
from callspan.finetune.data.numbers import read_number

# Characters that mean something in the family format or on the wire: a text that holds one is left out.
SPECIAL = re.compile(r"[\[\]{}|<>]")
# Sentences of fewer or more characters are left out.
SHORTEST, LONGEST = 3, 220


def canonical(arg: Arg, text: str) -> str | None:
    """An annotated value as the argument has it; nothing if the argument cannot."""
    text = text.strip()
    if arg.kind.kind == "string":
        return text or None
    if arg.kind.kind in ("int", "num"):
        number = read_number(text)
        return None if number is None else str(number)
    if arg.kind.kind == "bool":
        return text.lower() if text.lower() in ("true", "false") else None
    lower = text.lower()
    for value, said in arg.kind.words.items():
        if lower == value.lower() or lower in (w.lower() for w in said):
            return value
    return None


def sentence(family: Family, runs: Iterable[tuple[str, str]]) -> str | None:
    """A sentence in the family format, of texts and what marks them: `("San Jose", "city")`, or `""` for nothing.

    There is none if a text cannot be written so, or a value not be had by its argument. Nor if no argument is for what
    is marked: a call without it would do something else than what was asked for.
    """
    by_slot = {slot: arg for arg in family.args.values() for slot in arg.slots}
    filled: set[str] = set()
    out = []
    for text, slot in runs:
        if SPECIAL.search(text):
            return None
        arg = by_slot.get(slot)
        if arg is None:
            # A tool without arguments is called the same whatever was said.
            if slot and family.args and slot not in family.beside:
                return None
            out.append(text)
            continue
        value = canonical(arg, text)
        if value is None or arg.path in filled:
            return None
        filled.add(arg.path)
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        out.append(f"{before}{{{arg.path}={value}|{text.strip()}}}{after}")
    joined = re.sub(r"\s+", " ", "".join(out)).strip()
    return joined if SHORTEST <= len(joined) <= LONGEST else None


def cut(text: str, entities: Iterable[Sequence]) -> list[tuple[str, str]]:
    """The runs of a text whose annotations are `[slot, start, end, …]`; of two that overlap the first counts."""
    runs: list[tuple[str, str]] = []
    end = 0
    for name, start, stop, *_ in sorted(entities, key=lambda entity: entity[1]):
        if start >= end:
            runs += [(text[end:start], ""), (text[start:stop], name)]
            end = stop
    return [*runs, (text[end:], "")]
