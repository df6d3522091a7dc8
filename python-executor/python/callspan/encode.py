"""A tool's result as JSON text, without running any of the tool's code.

What a tool returns is not trusted: a subclass of dict or str may do anything when it is asked for its items or its
text. Only exact built-in types are read, and instances of dataclasses, pydantic models and enums are read through the
interpreter's own slots, never through attributes that a class can redefine.
"""

import dataclasses
import datetime
import enum
import json
import math
import types
import zoneinfo
from typing import Any

from pydantic import BaseModel

from callspan.artefact import Artefact, Outbox
from callspan.errors import BadResult, safe_name

MAX_DEPTH = 64
MAX_BYTES = 1 << 20

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_mro = type.__dict__["__mro__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_module = type.__dict__["__module__"].__get__


def encode(value: Any, outbox: Outbox | None = None, what: str = "result") -> str:
    """The JSON text of a result, at most 1 MiB, or BadResult; the artefacts in it wait in the outbox to be sent."""
    try:
        text = _ENCODER.encode(_Copy(outbox).plain(value, what))
    except ValueError as error:
        if isinstance(error, BadResult):
            raise
        raise BadResult(f"the {what} holds an integer too long to be written") from None
    except RuntimeError:
        raise BadResult(f"the {what} changed while it was read") from None
    if len(text.encode()) > MAX_BYTES:
        raise _too_large()
    return text


def _too_large() -> BadResult:
    return BadResult(f"the result is larger than {MAX_BYTES} bytes: return less, for example a summary")


class _Copy:
    """One walk over a result: a copy made of nothing but plain JSON types."""

    def __init__(self, outbox: Outbox | None) -> None:
        self.outbox = outbox
        self.path: list[int] = []
        self.bytes = 0

    def plain(self, value: Any, place: str) -> Any:
        """Copy one value; `place` names it in errors, such as `result.rows[3]`."""
        kind = type(value)
        if value is None or kind is bool or kind is int:
            self._count(1 if value is None or kind is bool else value.bit_length() // 4)
            return value
        if kind is float:
            if not math.isfinite(value):
                raise BadResult(f"{place} is {value}, which JSON cannot hold")
            self._count(1)
            return value
        if kind is str:
            return self._text(value, place)
        if kind is Artefact and self.outbox is not None:
            self._count(64)
            return self.outbox.put(value)
        if (text := _time_text(value)) is not None:
            return self._text(text, place)
        return self._container(value, kind, place)

    def _container(self, value: Any, kind: type, place: str) -> Any:
        if id(value) in self.path:
            raise BadResult(f"{place} contains itself")
        if len(self.path) >= MAX_DEPTH:
            raise BadResult(f"the result is nested deeper than {MAX_DEPTH} levels")
        self._count(1)
        self.path.append(id(value))
        try:
            if kind is list or kind is tuple:
                return [self.plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
            if kind is dict:
                return {self._key(key, place): self.plain(item, f"{place}.…") for key, item in value.items()}
            if any(base is enum.Enum for base in _mro(kind)):
                return self.plain(_attribute(value, "_value_", place), place)
            return {
                name: self.plain(_attribute(value, name, place), f"{place}.{name}") for name in _fields(kind, place)
            }
        finally:
            self.path.pop()

    def _key(self, key: Any, place: str) -> str:
        if type(key) is not str:
            raise BadResult(f"{place} has a key of type {safe_name(type(key))}: keys must be str")
        return self._text(key, place)

    def _text(self, text: str, place: str) -> str:
        self._count(len(text))
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadResult(f"{place} holds half of a surrogate pair, which is not valid text") from None
        return text

    def _count(self, size: int) -> None:
        """Stop early: a small structure that refers to itself many times can be huge when written."""
        self.bytes += size + 1
        if self.bytes > MAX_BYTES:
            raise _too_large()


def _time_text(value: Any) -> str | None:
    """Dates and times in ISO form; a time zone of a class of the tool's own would run its code, and is refused."""
    kind = type(value)
    if kind is datetime.date:
        return value.isoformat()
    if kind is datetime.datetime or kind is datetime.time:
        zone = type(value.tzinfo)
        if any(zone is known for known in (types.NoneType, datetime.timezone, zoneinfo.ZoneInfo)):
            return value.isoformat()
    return None


def _own(kind: type) -> dict[str, Any]:
    """A class's own namespace, only the keys that are exact str (comparing others could run their code)."""
    return {key: item for key, item in _namespace(kind).items() if type(key) is str}


def _fields(kind: type, place: str) -> list[str]:
    """The field names of a dataclass or a pydantic model."""
    bases = _mro(kind)
    wanted = "__pydantic_fields__" if any(base is BaseModel for base in bases) else "__dataclass_fields__"
    for base in bases:
        fields = _own(base).get(wanted)
        if type(fields) is dict:
            kept = dataclasses._FIELD if wanted == "__dataclass_fields__" else None  # type: ignore[attr-defined]
            names = [name for name, field in fields.items() if kept is None or getattr(field, "_field_type", 0) is kept]
            return [name for name in names if type(name) is str]
    raise BadResult(f"{place} is a {safe_name(kind)}, which has no JSON form{_hint(kind)}")


def _hint(kind: type) -> str:
    """What to return instead of a value of a class that people often return."""
    module = _module(kind)
    library = module.split(".")[0] if type(module) is str else ""
    if kind is set or kind is frozenset:
        return "; return a list"
    return {"numpy": "; return .tolist() of it", "pandas": "; return .to_dict() of it"}.get(library, "")


def _attribute(value: Any, name: str, place: str) -> Any:
    """A field's value, from its slot or from the instance's dictionary, past any property or __getattribute__."""
    bases = [_own(base) for base in _mro(type(value))]
    slot = next((own[name] for own in bases if name in own), None)
    if type(slot) is types.MemberDescriptorType:
        try:
            return slot.__get__(value)
        except AttributeError:
            raise BadResult(f"{place}.{name} has no value") from None
    for own in bases:
        descriptor = own.get("__dict__")
        if type(descriptor) is types.GetSetDescriptorType:
            instance = {key: item for key, item in descriptor.__get__(value).items() if type(key) is str}
            if name in instance:
                return instance[name]
    raise BadResult(f"{place}.{name} has no value")
