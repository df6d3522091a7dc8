"""Reads what `callspan.finetune.data.natural` wrote of data sets, for one side of the split."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callspan.finetune.data.families import Family
from callspan.finetune.data.kinds import literal
from callspan.finetune.data.lines import MISSHAPEN, read_lines, why
from callspan.finetune.data.phrases import parse_phrase
from callspan.finetune.data.sides import held_out_family, held_out_sentence


@dataclass(slots=True)
class Dialogue:
    """User's and model's turns, up to the user's last one; and what was said by then, by argument's path.

    A value is nothing where the person said that any will do.
    """

    turns: list[tuple[str, str]]
    values: dict[str, str | None]


@dataclass(slots=True)
class Natural:
    """What a file holds for one side of the split."""

    families: list[Family] = field(default_factory=list)
    # By their families' keys.
    dialogues: dict[str, list[Dialogue]] = field(default_factory=dict)
    # Small talk, and the answers to it.
    chat: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    # Requests that are for no tool at all.
    foreign: list[str] = field(default_factory=list)


def read_natural(path: Path, families: list[Family], training: bool) -> Natural:
    """A converted file; `families` are those of `families/natural/`, and get sentences and values from it.

    Families and sentences are split by their hashes; dialogues by their services, of which some are not trained on in
    the data set's own split either.
    """
    by_key = {family.key: family for family in families}
    found = Natural()
    own: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for place, row in read_lines(path):
        try:
            for key, arg, value in _take(row, by_key, found, training):
                own[key, arg][value] += 1
        except MISSHAPEN as error:
            raise ValueError(f"{place}: {why(error)}") from None
    for (key, arg), counted in own.items():
        by_key[key].args[arg].kind.values = tuple(counted)
    for family in families:
        # Of SGD a service is a domain, of the others the whole data set.
        of_sgd = family.key.startswith("sgd_")
        family.domain = family.key.rpartition("_")[0] if of_sgd else family.key.partition("_")[0]
        if family.chat or family.skipped:
            continue
        if family.key in found.dialogues or (family.says and held_out_family(family.key) != training):
            found.families.append(family)
    return found


def _take(row: dict[str, Any], by_key: dict[str, Family], found: Natural, training: bool) -> list[tuple[str, str, str]]:
    """Puts a line where it belongs, and gives the values that stand in its text: (key, argument's path, value)."""
    if "foreign" in row:
        if held_out_sentence(row["foreign"]) != training:
            found.foreign.append(row["foreign"])
        return []
    family = by_key.get(row["family"])
    if family is None:
        return []
    if family.chat:
        if held_out_sentence(row["say"]) != training:
            found.chat.append((row["say"], family.chat))
        return []
    values: list[tuple[str, str | None, str]] = []
    if "say" in row:
        phrase = parse_phrase(row["say"])
        values = [(slot.arg, slot.value, slot.words) for slot in phrase.slots()]
        family.says.append(phrase)
    elif row["seen"] == training:
        values = [(path, value, value or "") for path, value in row["values"].items()]
        turns = [(who, text) for who, text in row["turns"]]
        found.dialogues.setdefault(family.key, []).append(Dialogue(turns, row["values"]))
    for path, value, _ in values:
        if path not in family.args:
            raise ValueError(f"{family.key} has no argument {path!r}; convert the data sets anew")
        if value is not None:
            literal(family.args[path].kind, value)
    copied = [(path, words) for path, value, words in values if value == words]
    return [(family.key, path, words) for path, words in copied if family.args[path].kind.kind == "string"]
