"""Conversations with tools, read out of a line of TRL's or mobile-actions' shape and checked."""

from __future__ import annotations

import json
from typing import Any

from callspan.finetune.data import wire

# `{"tools", "messages"}`: arguments and results as objects, the last message the assistant's.
Example = dict[str, Any]
ROLES = ("system", "developer", "user", "assistant", "tool")


def conversation(row: dict[str, Any]) -> Example:
    """One line of TRL's or mobile-actions' shape, checked: turns alternate, declared tools are called and answer."""
    messages = [_message(m, i) for i, m in enumerate(_list(row, "messages"))]
    tools = [_tool(t, i) for i, t in enumerate(_list(row, "tools") if row.get("tools") else [])]
    if not messages or messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not the assistant's")
    _check_order(messages)
    _check_calls(messages, {tool["name"] for tool in tools})
    # Once more through the renderer: control tokens inside of texts are found here.
    system, rest = split(messages)
    wire.prefix(tools, system)
    wire.prompt(rest[:-1])
    wire.completion(rest[-1])
    return {"tools": tools, "messages": messages}


def _check_order(messages: list[dict[str, Any]]) -> None:
    before = ""
    for i, message in enumerate(messages):
        role = message["role"]
        if i and role in ("system", "developer"):
            raise ValueError(f"messages[{i}] is the {role}'s, which can only be the first")
        if role == "assistant" and before not in ("user", "tool"):
            raise ValueError(f"messages[{i}] is the assistant's, and answers nothing")
        if role == before == "user":
            raise ValueError(f"messages[{i}] is the user's, and the one before it has no answer")
        before = role


def _check_calls(messages: list[dict[str, Any]], names: set[str]) -> None:
    waiting = 0
    for i, message in enumerate(messages):
        for call in message.get("tool_calls", ()):
            if call["function"]["name"] not in names:
                raise ValueError(f"messages[{i}] calls {call['function']['name']!r}, which is not among the tools")
        if message["role"] == "tool":
            if waiting == 0:
                raise ValueError(f"messages[{i}] is a tool's, and no call waits for it")
            waiting -= 1
        elif waiting:
            raise ValueError(f"messages[{i}]: {waiting} calls before it have no result")
        else:
            waiting = len(message.get("tool_calls", ()))


def split(messages: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The developer's text, the trigger if there is none, and the messages behind it."""
    if messages[0]["role"] in ("system", "developer"):
        return messages[0]["content"], messages[1:]
    return wire.TRIGGER, messages


def pair(example: Example) -> tuple[str, str]:
    """An example as prompt and completion in the wire format."""
    system, messages = split(example["messages"])
    head = wire.prefix(example["tools"], system) if example["tools"] or messages is not example["messages"] else "<bos>"
    return head + wire.prompt(messages[:-1]), wire.completion(messages[-1])


def _list(row: dict[str, Any], key: str) -> list[Any]:
    things = row[key]
    if isinstance(things, str):
        things = json.loads(things)
    if not isinstance(things, list):
        raise ValueError(f"{key} is not a list")
    return things


def _tool(tool: Any, i: int) -> dict[str, Any]:
    inner = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise ValueError(f"tools[{i}] has no name")
    parameters = inner.get("parameters") or {"type": "object", "properties": {}}
    if isinstance(parameters, str):
        parameters = json.loads(parameters)
    return {"name": inner["name"], "description": inner.get("description") or "", "parameters": _small(parameters)}


def _small(schema: Any) -> Any:
    """A schema with its types in small letters: mobile-actions has them in capitals."""
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items() if v is not None}
    if isinstance(out.get("type"), str):
        out["type"] = out["type"].lower()
    if isinstance(out.get("properties"), dict):
        out["properties"] = {k: _small(v) for k, v in out["properties"].items() if v is not None}
    if "items" in out:
        out["items"] = _small(out["items"])
    return out


def _message(message: Any, i: int) -> dict[str, Any]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ROLES:
        raise ValueError(f"messages[{i}] has the role {role!r}; there are {', '.join(ROLES)}")
    if calls := message.get("tool_calls"):
        if role != "assistant":
            raise ValueError(f"messages[{i}]: only an assistant calls")
        made = {"role": role, "tool_calls": [_call(call, i) for call in calls]}
        return made | ({"content": message["content"]} if message.get("content") else {})
    body = message.get("content")
    if role == "tool":
        out = {"role": role, "content": wire.content(body) if isinstance(body, str) else body}
        return out | ({"name": message["name"]} if message.get("name") else {})
    if not isinstance(body, str):
        raise ValueError(f"messages[{i}] has no text as its content")
    return {"role": role, "content": body}


def _call(call: Any, i: int) -> dict[str, Any]:
    inner = call.get("function", call)
    arguments = inner.get("arguments")
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(inner.get("name"), str) or not isinstance(arguments or {}, dict):
        raise ValueError(f"messages[{i}] has a call without a name, or whose arguments are no object")
    # Datasets fill columns with null: an argument that is null was not given.
    return {
        "type": "function",
        "function": {"name": inner["name"], "arguments": {k: v for k, v in (arguments or {}).items() if v is not None}},
    }
