"""Draws a tool from a family: its name, its description, its parameters' names, and which of them are required."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from callspan.finetune.data.families import Arg, Family
from callspan.finetune.data.kinds import Kind

# What a schema calls the kinds.
TYPES = {
    "string": "string",
    "enum": "string",
    "int": "integer",
    "num": "number",
    "bool": "boolean",
    "list": "array",
    "object": "object",
}


@dataclass(slots=True)
class Tool:
    """A family as one developer would declare it."""

    family: Family
    name: str
    schema: dict[str, Any]
    # The declared name of each argument, by its path; one that is not here was left out.
    params: dict[str, str]
    # Paths of what a call must have.
    required: set[str]

    def arguments(self, values: dict[str, Any]) -> dict[str, Any]:
        """A call's arguments under the declared names, nested as declared; `values` has them by path."""
        out: dict[str, Any] = {}
        for path, value in values.items():
            inner = out
            *parents, _ = path.split(".")
            for i in range(len(parents)):
                inner = inner.setdefault(self.params[".".join(parents[: i + 1])], {})
            inner[self.params[path]] = value
        return out

    def missing(self, values: dict[str, Any]) -> list[str]:
        """The required paths that have no value; of an object with required parts these, and not the object."""
        return [p for p in self.family.args if p in self.required and p not in values and not self._given(p, values)]

    def _given(self, path: str, values: dict[str, Any]) -> bool:
        """Whether a path without a value of its own lacks nothing, or is told of by its parts."""
        inside = [p for p in self.required if p.startswith(path + ".")]
        if self.family.args[path].kind.kind == "object":
            return bool(inside) or any(p.startswith(path + ".") for p in values)
        parent = path.rpartition(".")[0]
        # A part of an object that is optional and not given at all.
        return bool(parent) and parent not in self.required and not any(p.startswith(parent + ".") for p in values)


def words(name: str) -> str:
    """A name as words: `fromUnit`, `from_unit` and `from.unit` as `from unit`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-]+", " ", name).lower().strip()


def draw_tool(family: Family, rng: random.Random) -> Tool:
    """A tool of a family."""
    name = rng.choice(family.names)
    camel = bool(re.search(r"[a-z][A-Z]", name)) or rng.random() < 0.06
    if camel and "_" in name and "." not in name:
        name = _camel(name)
    params: dict[str, str] = {}
    required: set[str] = set()
    style = rng.random()
    for path, arg in family.args.items():
        parent = path.rpartition(".")[0]
        if parent and parent not in params:
            continue
        if not arg.required and rng.random() < 0.12:
            continue
        taken = {p for other, p in params.items() if other.rpartition(".")[0] == parent}
        names = [n for n in arg.names if (_camel(n) if camel else n) not in taken] or [path.replace(".", "_")]
        # The usual name more often than another.
        chosen = names[0] if rng.random() < 0.35 else rng.choice(names)
        params[path] = _camel(chosen) if camel else chosen
        if rng.random() < _required(arg):
            required.add(path)
    about = "" if style < 0.06 or not family.abouts else _sentence(rng.choice(family.abouts), style)
    bare = rng.random() < 0.1
    parameters = {"type": "object", **_properties("", family, params, required, rng, bare)}
    schema = {"name": name, "description": about, "parameters": parameters}
    return Tool(family, name, schema, params, required)


def _required(arg: Arg) -> float:
    """How likely an argument is declared required: mostly as the family has it."""
    if arg.required:
        return 0.93
    if arg.slots:
        # People's own sentences may say what no annotation marks: only what one would miss is asked for.
        return 0.3 if arg.asks else 0
    # Whoever says nothing of a switch leaves it as it is.
    return 0 if arg.kind.kind == "bool" else 0.12


def _properties(
    parent: str, family: Family, params: dict[str, str], required: set[str], rng: random.Random, bare: bool
) -> dict[str, Any]:
    """The parts of the object at `parent`, or the parameters where that is empty; `bare` ones without descriptions."""
    inside = [p for p in params if p.rpartition(".")[0] == parent]
    out: dict[str, Any] = {"properties": {}}
    for path in inside:
        arg = family.args[path]
        one = _schema(arg, rng, bare)
        if arg.kind.kind == "object":
            one |= _properties(path, family, params, required, rng, bare)
        out["properties"][params[path]] = one
    names = [params[p] for p in inside if p in required]
    if names:
        out["required"] = names
    return out


def _schema(arg: Arg, rng: random.Random, bare: bool) -> dict[str, Any]:
    kind = arg.kind
    about = "" if bare or not arg.abouts or rng.random() < 0.08 else _sentence(rng.choice(arg.abouts), rng.random())
    return {"description": about, **_type(kind, rng)}


def _type(kind: Kind, rng: random.Random) -> dict[str, Any]:
    declared = TYPES[kind.kind]
    if kind.kind == "int" and rng.random() < 0.15:
        declared = "number"
    out: dict[str, Any] = {"type": declared}
    if kind.kind == "enum":
        out["enum"] = list(kind.values)
    if kind.kind == "list":
        out["items"] = _type(kind.item or Kind("string"), rng)
    return out


def _sentence(text: str, roll: float) -> str:
    """A description as developers write it: with or without a final dot and a capital."""
    if roll > 0.6:
        text = text[:1].upper() + text[1:]
    return text + "." if roll > 0.8 else text


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)
