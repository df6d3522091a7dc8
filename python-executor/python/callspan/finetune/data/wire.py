"""FunctionGemma's wire format: declarations, calls, responses and turns as text.

What the model reads and writes, in the same form as `models/default/chat_template.jinja` and the engine (an end-to-end
test compares it with the latter). Control tokens stand as their texts; a text of a user or a tool that holds one is
refused here, as it would become one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TRIGGER = "You are a model that can do function calling with the following functions"
START = "<start_function_call>"
END = "<end_function_call>"
RESPONSE = "<start_function_response>"
CONTROL = re.compile(
    r"<(?:pad|eos|bos|unk|mask|escape|(?:start|end)_of_turn|(?:start|end)_function_(?:declaration|call|response))>"
)


class WireError(ValueError):
    """A text that cannot be written in the format."""


def plain(text: str) -> str:
    """The text, if it holds no control token."""
    found = CONTROL.search(text)
    if found:
        raise WireError(f"the text holds the control token {found[0]}: {text[:80]!r}")
    return text


def value(thing: Any) -> str:
    """A value of a call or a response: strings between escapes, numbers as in Python, keys sorted without case."""
    if isinstance(thing, str):
        return f"<escape>{plain(thing)}<escape>"
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, Mapping):
        return "{" + pairs(thing) + "}"
    if isinstance(thing, Sequence):
        return "[" + ",".join(map(value, thing)) + "]"
    return "None" if thing is None else str(thing)


def pairs(things: Mapping[str, Any]) -> str:
    """`key:value,key:value`, sorted as Jinja's dictsort does."""
    return ",".join(f"{plain(key)}:{value(things[key])}" for key in sorted(things, key=str.lower))


def declaration(tool: Mapping[str, Any]) -> str:
    """A tool's declaration; the tool is `{"name", "description", "parameters"}` or OpenAI's `{"function": …}`."""
    tool = tool.get("function", tool)
    parameters = tool.get("parameters") or {}
    inner = f"description:{value(tool.get('description') or '')}"
    if parameters:
        fields = []
        if parameters.get("properties"):
            fields.append(f"properties:{_properties(parameters['properties'])}")
        if parameters.get("required"):
            fields.append(f"required:{value(parameters['required'])}")
        fields.append(f"type:{value((parameters.get('type') or 'object').upper())}")
        inner += ",parameters:{" + ",".join(fields) + "}"
    return f"<start_function_declaration>declaration:{plain(tool['name'])}{{{inner}}}<end_function_declaration>"


def _properties(properties: Mapping[str, Any]) -> str:
    return "{" + ",".join(f"{plain(k)}:{_property(properties[k])}" for k in sorted(properties, key=str.lower)) + "}"


def _property(schema: Mapping[str, Any]) -> str:
    kind = str(schema.get("type", "string")).upper()
    inner = f"description:{value(schema.get('description') or '')}"
    if kind == "STRING" and schema.get("enum"):
        inner += f",enum:{value(schema['enum'])}"
    elif kind == "OBJECT":
        inner += f",properties:{_properties(schema.get('properties') or {})}"
        if schema.get("required"):
            inner += f",required:{value(schema['required'])}"
    elif kind == "ARRAY" and isinstance(schema.get("items"), Mapping) and schema["items"]:
        items = schema["items"]
        inner += ",items:{" + ",".join(_item(k, items[k]) for k in sorted(items, key=str.lower)) + "}"
    return f"{{{inner},type:{value(kind)}}}"


def _item(key: str, thing: Any) -> str:
    if key == "properties":
        return f"properties:{_properties(thing)}"
    return f"{key}:{value(thing.upper() if key == 'type' else thing)}"


def prefix(tools: Iterable[Mapping[str, Any]], text: str = TRIGGER) -> str:
    """The beginning of a prompt: the developer's turn with the declarations."""
    return f"<bos><start_of_turn>developer\n{plain(text.strip())}{''.join(map(declaration, tools))}<end_of_turn>\n"


def user(text: str) -> str:
    """A user's turn, and the beginning of the model's."""
    return f"<start_of_turn>user\n{plain(text.strip())}<end_of_turn>\n<start_of_turn>model\n"


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """One call, without what follows it."""
    return f"{START}call:{plain(name)}{{{pairs(arguments)}}}{END}"


def calls(made: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """What the model writes where it calls: the calls, and the token at which it stops."""
    return "".join(call(name, arguments) for name, arguments in made) + RESPONSE


def responses(made: Sequence[tuple[str, Any]]) -> str:
    """What is appended behind `calls`, which ended with the first response's own start."""
    bodies = [f"response:{plain(n)}{{{pairs(c if isinstance(c, Mapping) else {'value': c})}}}" for n, c in made]
    return f"<end_function_response>{RESPONSE}".join(bodies) + "<end_function_response>"


def prose(text: str) -> str:
    """What the model writes where it answers in words."""
    return f"{plain(text.strip())}<end_of_turn>\n"


def content(text: str) -> Any:
    """A tool message's content: JSON as its value, anything else as a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def prompt(messages: Sequence[Mapping[str, Any]]) -> str:
    """The turns of a conversation behind its prefix, up to where the model goes on.

    Messages are as in OpenAI's API: `user` with `content`, `assistant` with `content` or `tool_calls`, whose arguments
    are objects here, `tool` with `content` (a JSON value or its text) and perhaps `name`. The last one is of a user or
    a tool.
    """
    out = []
    made: list[str] = []
    results: list[tuple[str, Any]] = []
    for message in messages:
        if message["role"] != "tool" and results:
            out.append(responses(results))
            results = []
            if message["role"] == "user":
                out.append("<end_of_turn>\n")
        if message["role"] == "user":
            out.append(user(message["content"]))
        elif message["role"] == "tool":
            name = message.get("name") or made[len(results)]
            body = message["content"]
            results.append((name, content(body) if isinstance(body, str) else body))
        else:
            out.append(completion(message))
            made = [one["function"]["name"] for one in message.get("tool_calls") or ()]
    if results:
        out.append(responses(results))
    return "".join(out)


def completion(message: Mapping[str, Any]) -> str:
    """What the model has to write for an assistant's message: prose, calls or both, with the token that stops it."""
    made = message.get("tool_calls")
    if not made:
        return prose(message["content"])
    said = plain((message.get("content") or "").strip())
    return said + calls((one["function"]["name"], one["function"]["arguments"]) for one in made)
