"""Reads tool families: one tool under many names, with many ways in which people ask for it.

A family file is text; `families/README.md` says its format. Everything that breaks it is an error with the file's name
and the line's number or, where only the whole family tells, the family's key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from callspan.finetune.data.kinds import NAME, Kind, literal, parse_fields, parse_kind, parts
from callspan.finetune.data.phrases import Phrase, parse_phrase

HERE = Path(__file__).parent / "families"
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class FamilyError(ValueError):
    """A family file that breaks the format: `FILE:LINE: why` or `FILE: KEY: why`."""


@dataclass(slots=True)
class Arg:
    """A parameter under its names; `path` is dotted where it is part of an object."""

    path: str
    kind: Kind
    required: bool
    names: tuple[str, ...] = ()
    abouts: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    # The annotations of a data set that fill it.
    slots: tuple[str, ...] = ()


@dataclass(slots=True)
class Family:
    """A tool under its names, and the sentences that ask for it."""

    key: str
    domain: str
    names: tuple[str, ...] = ()
    abouts: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    args: dict[str, Arg] = field(default_factory=dict)
    says: list[Phrase] = field(default_factory=list)
    vagues: list[Phrase] = field(default_factory=list)
    multis: list[Phrase] = field(default_factory=list)
    returns: dict[str, Kind] = field(default_factory=dict)
    replies: tuple[str, ...] = ()
    # Of a data set's intent that is small talk, and no tool: what is answered.
    chat: tuple[str, ...] = ()
    # Annotations of a data set that only name what the tool is for, and that a call loses nothing without.
    beside: tuple[str, ...] = ()
    # A data set's intent that is not used.
    skipped: bool = False

    def leaves(self) -> list[Arg]:
        """The arguments that have a value of their own: all but objects."""
        return [arg for arg in self.args.values() if arg.kind.kind != "object"]


def read_directory(directory: Path) -> list[Family]:
    """The families of a directory's files, in the order of the files' names."""
    return [family for path in sorted(directory.glob("*.fam")) for family in read_families(path)]


def read_families(path: Path) -> list[Family]:
    """The families of a file, in its order."""
    families: list[Family] = []
    arg: Arg | None = None
    for number, raw in enumerate(path.read_text("utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("=="):
                families.append(Family(line[2:].strip(), path.stem))
                arg = None
            elif not families:
                raise ValueError("a family begins with `== key`")
            elif line.startswith("arg "):
                arg = _arg(line[4:], families[-1])
            else:
                _line(line, families[-1], arg, inside=raw[0].isspace())
        except ValueError as error:
            raise FamilyError(f"{path.name}:{number}: {error}") from None
    for family in families:
        try:
            _check(family)
        except ValueError as error:
            raise FamilyError(f"{path.name}: {family.key}: {error}") from None
    return families


def _arg(text: str, family: Family) -> Arg:
    name, _, kind = text.strip().partition(" ")
    required = name.endswith("!")
    path = name.rstrip("!")
    if not NAME.match(path):
        raise ValueError(f"{path!r} is no argument's name")
    arg = Arg(path, parse_kind(kind), required, names=(path.rsplit(".", 1)[-1],))
    family.args[path] = arg
    return arg


def _line(line: str, family: Family, arg: Arg | None, inside: bool) -> None:
    """A line `word: …` of a family or, below `arg`, of that argument; there `about` is the argument's if indented."""
    word, colon, rest = line.partition(":")
    rest = rest.strip()
    if not colon:
        raise ValueError(f"a line is `word: …`, and this is {line!r}")
    if arg is not None and (word in ("as", "ask", "slot") or (inside and word == "about")):
        _line_of_arg(word, rest, arg)
    elif word == "names":
        family.names = parts(rest, ",")
    elif word == "about":
        family.abouts += parts(rest)
    elif word == "near":
        family.near += parts(rest, ",")
    elif word in ("say", "vague", "multi"):
        {"say": family.says, "vague": family.vagues, "multi": family.multis}[word].append(parse_phrase(rest))
    elif word == "returns":
        family.returns = parse_fields(rest)
    elif word == "reply":
        family.replies += parts(rest)
    elif word == "chat":
        family.chat += parts(rest)
    elif word == "beside":
        family.beside += parts(rest, ",")
    elif word == "skip":
        family.skipped = True
    else:
        raise ValueError(f"{word!r} is no word of the format here")


def _line_of_arg(word: str, rest: str, arg: Arg) -> None:
    if word == "as":
        arg.names = parts(rest, ",")
    elif word == "about":
        arg.abouts += parts(rest)
    elif word == "ask":
        arg.asks += parts(rest)
    else:
        arg.slots = parts(rest, ",")


def _check(family: Family) -> None:
    """What can be wrong only when the whole family is known."""
    if not KEY.fullmatch(family.key):
        raise ValueError("a key is letters, digits and _")
    if not (family.names or family.chat or family.skipped):
        raise ValueError("it has no names")
    for name in family.names:
        if not NAME.match(name):
            raise ValueError(f"{name!r} is no tool's name")
    _check_phrases(family)
    _check_args(family)


def _check_phrases(family: Family) -> None:
    for phrase in (*family.says, *family.vagues, *family.multis):
        for slot in phrase.slots():
            if slot.arg not in family.args:
                raise ValueError(f"`{phrase.source}` has {{{slot.arg}}}, which is no argument")
            if slot.value is not None:
                literal(family.args[slot.arg].kind, slot.value)
    for phrase in (*family.says, *family.multis):
        certain = phrase.certain()
        missing = [a.path for a in family.leaves() if a.required and "." not in a.path and a.path not in certain]
        if missing:
            raise ValueError(f"`{phrase.source}` lacks the required {', '.join(missing)}")


def _check_args(family: Family) -> None:
    for arg in family.args.values():
        parent = arg.path.rpartition(".")[0]
        if parent and (parent not in family.args or family.args[parent].kind.kind != "object"):
            raise ValueError(f"{arg.path} is inside {parent}, which is no `arg {parent} object`")
        for name in arg.names:
            if not NAME.match(name):
                raise ValueError(f"{name!r} is no parameter's name")
