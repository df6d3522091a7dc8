"""Arguments of the plain kinds, read without pydantic.

A child that waits for a call is used once, so whatever it makes for that call is cost, and most of the cost is memory:
each page that it is the first to touch is copied. For texts, numbers, truth values, literals, and lists of them, no
validator is needed to see that the arguments are right. Here they are accepted or left alone: what is not plainly
right is pydantic's to judge.
"""

import json
import math
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_type_hints

from callspan.context import Context

_VARIABLE = 0x04 | 0x08
"""Flags of a code object with *args or **kwargs."""


class Unsure(Exception):  # noqa: N818  (no error: pydantic decides)
    """Not plain, or not plainly right."""


class Quick:
    """The parameters of a function all of whose types are plain."""

    __slots__ = ("_required", "_takers", "contexts")

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read the function without help from `inspect`, which touches much; raise Unsure if anything is special."""
        code, hints = function.__code__, function.__annotations__
        if code.co_flags & _VARIABLE or code.co_posonlyargcount or function.__dict__:
            raise Unsure
        if any(type(hint) is str for hint in hints.values()):
            hints = get_type_hints(function, include_extras=True)
        count, defaults = code.co_argcount, function.__defaults__ or ()
        names = code.co_varnames[: count + code.co_kwonlyargcount]
        optional = {*names[count - len(defaults) : count], *(function.__kwdefaults__ or ())}
        self.contexts = [name for name in names if hints.get(name) is Context]
        self._takers = {name: _taker(hints.get(name)) for name in names if name not in self.contexts}
        self._required = self._takers.keys() - optional

    def read(self, text: str) -> dict[str, Any]:
        """The arguments, if they are plainly right; else Unsure."""
        if "\\u" in text:  # perhaps half of a surrogate pair
            raise Unsure
        try:
            given = _decode(text)
            arguments = {name: self._takers[name](value) for name, value in given.items()}
        except (ValueError, RecursionError, KeyError, AttributeError, OverflowError):
            raise Unsure from None
        if not self._required <= arguments.keys():
            raise Unsure
        return arguments


def _no_constant(text: str) -> NoReturn:
    raise Unsure(text)


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def _exactly(kind: type) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if type(value) is not kind:
            raise Unsure
        return value

    return take


def _float(value: Any) -> float:
    if type(value) is int or type(value) is float:
        number = float(value)
        if math.isfinite(number) and number == value:
            return number
    raise Unsure


_ATOMS: dict[Any, Callable[[Any], Any]] = {
    **{kind: _exactly(kind) for kind in (str, int, bool, NoneType)},
    float: _float,
}


def _taker(hint: Any) -> Callable[[Any], Any]:
    """A function that takes a value of this type, if the type is plain."""
    if type(hint) is type and hint in _ATOMS:
        return _ATOMS[hint]
    origin, parts = getattr(hint, "__origin__", None), getattr(hint, "__args__", ())
    if origin is Literal and all(type(part) is str for part in parts):
        return _one_of(parts)
    if origin is list:
        return _list_of(_taker(parts[0]))
    if (origin is Union or type(hint) is UnionType) and len(parts) == 2 and NoneType in parts:
        return _optional(_taker(parts[0] if parts[1] is NoneType else parts[1]))
    raise Unsure


def _one_of(values: tuple[str, ...]) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        if type(value) is not str or value not in values:
            raise Unsure
        return value

    return take


def _list_of(inner: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def take(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Unsure
        return [inner(item) for item in value]

    return take


def _optional(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else inner(value)
