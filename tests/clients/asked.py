"""What the tests ask for, in the words of OpenAI's documents, and what the built-in model is known to make of it: it is
a toy, and calls these tools rightly for these sentences."""

from __future__ import annotations

import json
from typing import Any

HELLO = [{"role": "user", "content": "Hello, who are you?"}]
CONVERT = [{"role": "user", "content": "How many miles is 12 km?"}]
CONVERSION = {"value": 12, "from_unit": "km", "to_unit": "miles"}
ANSWERED = {"value": 7.456, "unit": "miles"}
TWO = [{"role": "user", "content": "12 km to miles and 5 kg to pounds"}]
TWO_CONVERSIONS = [CONVERSION, {"value": 5, "from_unit": "kg", "to_unit": "pounds"}]


def function(name: str, description: str, required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """A function's description, as chat and responses share it."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "parameters": parameters}


UNITS = function(
    "convert_units",
    "Convert a value from one unit to another.",
    value={"type": "number", "description": "The value"},
    from_unit={"type": "string", "description": "The unit to convert from"},
    to_unit={"type": "string", "description": "The unit to convert to"},
)
TIME = function(
    "get_time",
    "Get the current time in a city.",
    city={"type": "string", "description": "The city"},
)
# Chat completions wrap a function, responses do not.
CHAT_TOOLS = [{"type": "function", "function": tool} for tool in (UNITS, TIME)]
RESPONSE_TOOLS = [{"type": "function", "strict": False, **tool} for tool in (UNITS, TIME)]

# An answer that lasts as long as it is let: each number takes tokens, and a context has room for some thousands.
NUMBERS = {
    "type": "object",
    "properties": {"numbers": {"type": "array", "items": {"type": "integer", "minimum": 1000}, "minItems": 1000}},
    "required": ["numbers"],
    "additionalProperties": False,
}
LONG = {"type": "json_schema", "json_schema": {"name": "numbers", "schema": NUMBERS}}
# The flags of a server that lets it last.
ENDLESS = ("--max-tokens", "100000")


def conversions(calls: Any) -> list[dict[str, Any]]:
    """The arguments of the calls of convert_units."""
    return [json.loads(call.function.arguments) for call in calls if call.function.name == "convert_units"]
