"""What the tests of the evaluation share: a tool, and cases of it."""

from typing import Any

from callspan.evaluate.cases import Case, from_json

LAMP = {
    "name": "set_lamp",
    "description": "Switch a lamp",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string"}, "level": {"type": "number"}},
        "required": ["room"],
    },
}


def line(name: str, expect: dict[str, Any], kind: str = "one", text: str = "Dim the hall to 30") -> dict[str, Any]:
    """A case as a line of a file has it."""
    messages = [{"role": "user", "content": text}]
    return {"id": name, "kind": kind, "tools": [LAMP], "messages": messages, "expect": expect}


def case(expect: dict[str, Any], kind: str = "one") -> Case:
    """A case with the lamp."""
    return from_json(line("a", expect, kind))


def call(name: str = "set_lamp", **arguments: Any) -> dict[str, Any]:
    """A call, or an expected one if the arguments are lists."""
    return {"name": name, "arguments": arguments}
