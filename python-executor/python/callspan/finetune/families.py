"""Reads tool families: one tool under many names, with many ways in which people ask for it.

A family file is text; `finetune/families/README.md` says its format. Everything that breaks it is an error with the
file's name and the line's number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from callspan.finetune.phrases import Phrase, PhraseError, parse_phrase

KINDS = ("string", "enum", "int", "num", "bool", "list", "object")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*$")


class FamilyError(ValueError):
    """A family file that breaks the format: `FILE:LINE: why`."""


@dataclass(slots=True)
class Kind:
    """What values an argument takes: one of KINDS, and where they come from."""

    kind: str
    pool: str = ""
    values: tuple[str, ...] = ()
    # Of an enum: what people say for each value.
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    low: float = 0
    high: float = 0
    # Of a list: the kind of its items.
    item: Kind | None = None


@dataclass(slots=True)
class Arg:
    """A parameter under its names; `path` is dotted where it is part of an object."""

    path: str
    kind: Kind
    required: bool
    names: tuple[str, ...] = ()
    abouts: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    # The slot of a data set that fills it.
    slot: str = ""


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
    chat: tuple[str, ...] = ()

    def leaves(self) -> list[Arg]:
        """The arguments that have a value of their own: all but objects."""
        return [arg for arg in self.args.values() if arg.kind.kind != "object"]


def split(text: str, by: str = "|") -> tuple[str, ...]:
    """The parts of `a | b | c`, trimmed, empty ones left out."""
    return tuple(part.strip() for part in text.split(by) if part.strip())


def parse_kind(text: str) -> Kind:
    """The kind that `int 1..5`, `enum: a = x, y | b`, `list city` … tell of; a ValueError says what is wrong."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    own = word.endswith(":")
    word = word.rstrip(":")
    if word in NUMBERS and not rest:
        word, rest = ("num" if word == "money" else "int"), word
    if word not in KINDS:
        raise ValueError(f"{word!r} is no type; there are {', '.join(KINDS)}")
    if word in ("bool", "object"):
        return Kind(word)
    if word in ("int", "num"):
        found = re.match(r"(-?[\d.]+)\.\.(-?[\d.]+)$", rest.rstrip("%"))
        if rest in NUMBERS:
            low, high = NUMBERS[rest]
            return Kind(word, low=low, high=high)
        if not found:
            raise ValueError(f"{word} needs its bounds, as in `{word} 1..20`, and has {rest!r}")
        return Kind(word, low=float(found[1]), high=float(found[2]))
    if word == "enum":
        words = {}
        for part in split(rest):
            value, _, said = part.partition("=")
            words[value.strip()] = split(said, ",") or (value.strip(),)
        if not words:
            raise ValueError("an enum needs values, as in `enum: low = quiet | high = loud`")
        return Kind(word, values=tuple(words), words=words)
    if word == "list":
        kind = parse_kind(rest) if rest.split(" ")[0].rstrip(":") in (*KINDS, *NUMBERS) else parse_kind(f"string{':' * own} {rest}")
        return Kind(word, item=kind)
    if own:
        values = split(rest)
        if not values:
            raise ValueError("own values are missing, as in `string: oak | rose`")
        return Kind(word, values=values)
    if rest in NUMBERS:
        low, high = NUMBERS[rest]
        return Kind("int" if rest != "money" else "num", low=low, high=high)
    return Kind(word, pool=rest)


# Pools of numbers, which need no list.
NUMBERS = {"percent": (0, 100), "money": (1, 2000), "count": (1, 20), "age": (1, 95), "rating": (1, 5)}


def parse_returns(text: str) -> dict[str, Kind]:
    """The fields of a result: `temperature=num 5..30; state=on|off`."""
    fields = {}
    for part in split(text, ";"):
        name, _, kind = part.partition("=")
        kind = kind.strip()
        first = kind.split(" ")[0].rstrip(":")
        if not kind:
            fields[name.strip()] = Kind("string")
        elif first in NUMBERS or first in KINDS and (" " in kind or first == "bool"):
            fields[name.strip()] = parse_kind(kind)
        elif "|" not in kind and NAME.match(kind):
            fields[name.strip()] = parse_kind(f"string {kind}")
        else:
            fields[name.strip()] = Kind("string", values=split(kind))
    return fields


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
        except (ValueError, PhraseError) as error:
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
    word, colon, rest = line.partition(":")
    rest = rest.strip()
    if not colon:
        raise ValueError(f"a line is `word: …`, and this is {line!r}")
    if arg is not None and word in ("as", "ask", "slot") or arg is not None and inside and word == "about":
        if word == "as":
            arg.names = split(rest, ",")
        elif word == "about":
            arg.abouts += split(rest)
        elif word == "ask":
            arg.asks += split(rest)
        else:
            arg.slot = rest
    elif word == "names":
        family.names = split(rest, ",")
    elif word == "about":
        family.abouts += split(rest)
    elif word == "near":
        family.near += split(rest, ",")
    elif word in ("say", "vague", "multi"):
        {"say": family.says, "vague": family.vagues, "multi": family.multis}[word].append(parse_phrase(rest))
    elif word == "returns":
        family.returns = parse_returns(rest)
    elif word == "reply":
        family.replies += split(rest)
    elif word == "chat":
        family.chat += split(rest)
    elif word == "skip":
        family.chat = ()
        family.names = ()
    else:
        raise ValueError(f"{word!r} is no word of the format here")


def _check(family: Family) -> None:
    """What can be wrong only when the whole family is known."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", family.key):
        raise ValueError("a key is letters, digits and _")
    for name in family.names:
        if not NAME.match(name):
            raise ValueError(f"{name!r} is no tool's name")
    for phrase, what in [(p, w) for w in ("says", "vagues", "multis") for p in getattr(family, w)]:
        for slot in phrase.slots():
            if slot.arg not in family.args:
                raise ValueError(f"`{phrase.source}` has {{{slot.arg}}}, which is no argument")
            if slot.value is not None:
                literal(family.args[slot.arg].kind, slot.value)
        if what != "vagues":
            certain = phrase.certain()
            missing = [a.path for a in family.leaves() if a.required and "." not in a.path and a.path not in certain]
            if missing:
                raise ValueError(f"`{phrase.source}` lacks the required {', '.join(missing)}")
    for arg in family.args.values():
        parent = arg.path.rpartition(".")[0]
        if parent and (parent not in family.args or family.args[parent].kind.kind != "object"):
            raise ValueError(f"{arg.path} is inside {parent}, which is no `arg {parent} object`")
        for name in arg.names:
            if not NAME.match(name):
                raise ValueError(f"{name!r} is no parameter's name")


def literal(kind: Kind, text: str) -> object:
    """The value that `{arg=VALUE|words}` means for an argument of this kind."""
    if kind.kind == "bool":
        if text not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text == "true"
    if kind.kind == "int":
        return int(text)
    if kind.kind == "num":
        return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    if kind.kind == "enum" and text not in kind.values:
        raise ValueError(f"{text!r} is no value of the enum {' | '.join(kind.values)}")
    if kind.kind == "list":
        return [literal(kind.item or Kind("string"), part) for part in split(text, ",")]
    return text
