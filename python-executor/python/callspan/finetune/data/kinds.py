"""What values an argument or a result's field takes, as families write it: `int 1..5`, `enum: a | b`, `list city`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

KINDS = ("string", "enum", "int", "num", "bool", "list", "object")
# Names of bounds; in families they stand where a pool does. Money may have decimals, the others are whole.
NUMBERS = {"percent": (0, 100), "money": (1, 2000), "count": (1, 20), "age": (1, 95), "rating": (1, 5)}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]*$")


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
    # Of a list: the kind of its items, how many there are at least, and whether one of them comes twice.
    item: Kind | None = None
    least: int = 1
    repeated: bool = False


def parts(text: str, by: str = "|") -> tuple[str, ...]:
    """The parts of `a | b | c`, trimmed, empty ones left out."""
    return tuple(part.strip() for part in text.split(by) if part.strip())


def parse_kind(text: str) -> Kind:
    """The kind that `int 1..5`, `enum: a = x, y | b`, `list city` … tell of; a ValueError says what is wrong."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    own = word.endswith(":")
    word = word.rstrip(":")
    if word in NUMBERS and not rest:
        return _named(word)
    if word not in KINDS:
        raise ValueError(f"{word!r} is no type; there are {', '.join(KINDS)}")
    if word in ("bool", "object"):
        return Kind(word)
    if word in ("int", "num"):
        return _bounded(word, rest)
    if word == "enum":
        return _enum(rest)
    if word == "list":
        if many := re.match(r"(some|repeated)(:?) ", rest):
            found = parse_kind(f"list{many[2]} {rest[many.end() :]}")
            found.least, found.repeated = 2, many[1] == "repeated"
            return found
        typed = rest.split(" ")[0].rstrip(":") in (*KINDS, *NUMBERS)
        return Kind(word, item=parse_kind(rest if typed else f"string{':' * own} {rest}"))
    if own:
        values = parts(rest)
        if not values:
            raise ValueError("own values are missing, as in `string: oak | rose`")
        return Kind(word, values=values)
    return _named(rest) if rest in NUMBERS else Kind(word, pool=rest)


def _named(numbers: str) -> Kind:
    low, high = NUMBERS[numbers]
    return Kind("num" if numbers == "money" else "int", low=low, high=high)


def _bounded(word: str, rest: str) -> Kind:
    if rest in NUMBERS:
        low, high = NUMBERS[rest]
        return Kind(word, low=low, high=high)
    found = re.match(r"(-?[\d.]+)\.\.(-?[\d.]+)$", rest.rstrip("%"))
    if not found:
        raise ValueError(f"{word} needs its bounds, as in `{word} 1..20`, and has {rest!r}")
    kind = Kind(word, low=float(found[1]), high=float(found[2]))
    if kind.low > kind.high:
        raise ValueError(f"the bounds {rest} are the wrong way round")
    return kind


def _enum(rest: str) -> Kind:
    words = {}
    for part in parts(rest):
        value, _, said = part.partition("=")
        words[value.strip()] = parts(said, ",") or (value.strip(),)
    if not words:
        raise ValueError("an enum needs values, as in `enum: low = quiet | high = loud`")
    return Kind("enum", values=tuple(words), words=words)


def parse_fields(text: str) -> dict[str, Kind]:
    """The fields of a result: `temperature=num 5..30; state=on|off; room=room; note`."""
    fields = {}
    for part in parts(text, ";"):
        name, _, kind = (side.strip() for side in part.partition("="))
        first = kind.split(" ")[0].rstrip(":")
        if not kind:
            fields[name] = Kind("string")
        elif first in NUMBERS or (first in KINDS and (" " in kind or first == "bool")):
            fields[name] = parse_kind(kind)
        elif "|" not in kind and NAME.match(kind):
            fields[name] = Kind("string", pool=kind)
        else:
            fields[name] = Kind("string", values=parts(kind))
    return fields


def literal(kind: Kind, text: str) -> object:
    """The value that `{arg=VALUE|words}` means for an argument of this kind."""
    if kind.kind == "bool":
        if text not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text == "true"
    if kind.kind in ("int", "num"):
        return _number(text, whole=kind.kind == "int")
    if kind.kind == "enum" and text not in kind.values:
        raise ValueError(f"{text!r} is no value of the enum {' | '.join(kind.values)}")
    if kind.kind == "list":
        return [literal(kind.item or Kind("string"), part) for part in parts(text, ",")]
    return text


def _number(text: str, whole: bool) -> float:
    try:
        return int(text) if whole or re.fullmatch(r"-?\d+", text) else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no {'whole ' if whole else ''}number") from None
