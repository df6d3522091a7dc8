"""Cases: what is asked, with which tools, and what is a right answer.

A line of JSON each: `{"id", "kind", "tools": [{"name", "description", "parameters"}], "messages": [{"role",
"content"}], "expect"}`, perhaps `"split"`. `expect` is one of

- `{"calls": [{"name", "arguments": {NAME: [VALUE, …]}}]}`: these calls; of each argument every value that is right, ""
  among them if it may be left out (BFCL's form); an empty list of calls is no call,
- `{"calls": "any"}`: some call, whichever,
- `{"no_call": "refuse"}`: prose, as no tool fits; `{"no_call": "ask", "about": [NAME, …]}`: a question back,
- `{"answer": [TEXT, …]}`: prose that holds these texts, each perhaps a list of alternatives.

What breaks this form is told with its file and line, since a set that is read wrongly measures nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callspan.evaluate import schemas
from callspan.evaluate.errors import Trouble

_EXPECTATIONS = ("calls", "no_call", "answer")


class BadCase(Exception):  # noqa: N818  (told as a Trouble, with its place)
    """A case breaks the form."""


@dataclass(frozen=True)
class Case:
    """One question and what is a right answer."""

    id: str
    kind: str
    split: str
    tools: list[dict[str, Any]]
    """`{"name", "description", "parameters": JSON Schema}` each."""
    messages: list[dict[str, Any]]
    """`{"role", "content"}` each, as the protocol has them; `tool_calls` are `{"id", "name", "arguments": object}`."""
    expect: dict[str, Any]

    @property
    def needs_call(self) -> bool:
        """Whether a right answer calls something."""
        return bool(self.expect.get("calls"))


def read(path: Path) -> list[Case]:
    """The cases of a file of JSON lines; empty lines are skipped."""
    read: list[Case] = []
    seen: dict[str, int] = {}
    for number, value in json_lines(path, _FORM):
        try:
            case = from_json(value)
            if case.id in seen:
                raise BadCase(f"the id {case.id} stands in line {seen[case.id]} already")
        except BadCase as bad:
            raise Trouble(f"{path}, line {number}: {bad}", _FORM) from None
        seen[case.id] = number
        read.append(case)
    return read


_FORM = "python-executor/README.md says how a case looks, a line of JSON each"


def json_lines(path: Path, cure: str) -> Iterator[tuple[int, Any]]:
    """The values of a file of JSON lines with their numbers; empty lines are skipped."""
    try:
        # Not splitlines, which breaks at U+2028 and its like as well: JSON has them within strings.
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"{path} cannot be read: {error}", cure) from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                value = json.loads(line)
            # Not only JSONDecodeError: numbers of thousands of digits are told otherwise, and so is what is too deep.
            except (ValueError, RecursionError) as error:
                raise Trouble(f"{path}, line {number}: {error}", cure) from None
            yield number, value


def from_json(value: Any) -> Case:
    """A case of its JSON; BadCase says what is wrong with it."""
    _want(isinstance(value, dict), "a case is a JSON object")
    for key, kind in {"id": str, "kind": str, "tools": list, "messages": list, "expect": dict}.items():
        _want(key in value, f"`{key}` is missing")
        _want(isinstance(value[key], kind), f"`{key}` is no {_WORDS[kind]}")
    split = value.get("split", "")
    _want(isinstance(split, str), "`split` is no string")
    _want(bool(value["messages"]), "`messages` is empty")
    tools = [_tool(tool) for tool in value["tools"]]
    names = {tool["name"] for tool in tools}
    _want(len(names) == len(tools), "two tools have the same name")
    _expectation(value["expect"], names)
    messages = [_message(message) for message in value["messages"]]
    return Case(value["id"], value["kind"], split, tools, messages, value["expect"])


_WORDS = {str: "string", list: "list", dict: "object"}


def _want(good: bool, what: str) -> None:
    if not good:
        raise BadCase(what)


def _tool(tool: Any) -> dict[str, Any]:
    _want(isinstance(tool, dict), "a tool is no object")
    tool = tool.get("function", tool)
    _want(isinstance(tool, dict) and isinstance(tool.get("name"), str), "a tool has no `name`")
    parameters = tool.get("parameters", {"type": "object", "properties": {}})
    _want(isinstance(parameters, dict), f"`parameters` of {tool['name']} is no object")
    what = schemas.fault(parameters)
    _want(not what, f"`parameters` of {tool['name']} is no JSON Schema: {what}")
    return {"name": tool["name"], "description": tool.get("description", ""), "parameters": parameters}


def _message(message: Any) -> dict[str, Any]:
    _want(isinstance(message, dict) and isinstance(message.get("role"), str), "a message has no `role`")
    content = message.get("content") or ""
    _want(isinstance(content, str), "a message's `content` is no string")
    made = {"role": message["role"], "content": content}
    made |= {key: message[key] for key in ("tool_call_id", "name") if isinstance(message.get(key), str)}
    if calls := message.get("tool_calls"):
        _want(isinstance(calls, list), "`tool_calls` is no list")
        made["tool_calls"] = [_earlier_call(number, call) for number, call in enumerate(calls)]
    return made


def _earlier_call(number: int, call: Any) -> dict[str, Any]:
    _want(isinstance(call, dict), "a call in `tool_calls` is no object")
    function = call.get("function", call)
    _want(isinstance(function, dict), "the `function` of a call in `tool_calls` is no object")
    name, arguments = function.get("name"), function.get("arguments", {})
    _want(isinstance(name, str), "a call in `tool_calls` has no `name`")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            raise BadCase(f"the arguments of {name} in `tool_calls` are no JSON") from None
    _want(isinstance(arguments, dict), f"the arguments of {name} in `tool_calls` are no object")
    return {"id": str(call.get("id", f"call_{number}")), "name": name, "arguments": arguments}


def _expectation(expect: dict[str, Any], names: set[str]) -> None:
    kinds = [key for key in _EXPECTATIONS if key in expect]
    _want(len(kinds) == 1, f"`expect` has one of {', '.join(_EXPECTATIONS)}")
    value = expect[kinds[0]]
    if kinds[0] == "calls":
        _want(value == "any" or isinstance(value, list), '`calls` is a list or "any"')
        for call in value if isinstance(value, list) else []:
            _expected_call(call, names)
    elif kinds[0] == "no_call":
        _want(value in ("refuse", "ask"), "`no_call` is refuse or ask")
        about = expect.get("about", [])
        _want(isinstance(about, list) and all(isinstance(one, str) for one in about), "`about` is a list of strings")
    else:
        _want(isinstance(value, list) and bool(value), "`answer` is a list that is not empty")
        texts = [text for one in value for text in (one if isinstance(one, list) else [one])]
        _want(all(isinstance(text, str) for text in texts), "`answer` holds strings and lists of them")


def _expected_call(call: Any, names: set[str]) -> None:
    _want(isinstance(call, dict) and isinstance(call.get("name"), str), "an expected call has no `name`")
    _want(call["name"] in names, f"the expected call {call['name']} is of no tool of this case")
    arguments = call.get("arguments")
    _want(isinstance(arguments, dict), f"the expected arguments of {call['name']} are no object")
    for name, accepted in arguments.items():
        good = isinstance(accepted, list) and bool(accepted)
        _want(good, f"the argument {name} of {call['name']} is no list of accepted values")
