"""Reads and writes training data in the shapes that others use.

Three are read, each recognised by itself, a JSON object a line:

- TRL's conversations: `{"messages": […], "tools": […]}`, the last message being the assistant's.
- mobile-actions: the same with `metadata` and arguments as objects; messages of a `developer`, types in capitals.
- recordings of our own sessions: what `ipc tap --format json` prints; each answered `generate` gives one example.

The first two are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from callspan.finetune import wire
from callspan.finetune.samples import Sample

Example = dict[str, Any]
ROLES = ("system", "developer", "user", "assistant", "tool")


class FormatError(ValueError):
    """Lines that break the format: `FILE:LINE: why`, one a line."""


def read(path: Path, keep_going: bool = False, report: list[str] | None = None) -> list[Example]:
    """The examples of a file: `{"tools", "messages"}`, arguments and results as objects, the last message the assistant's.

    A line that breaks the format stops it, with its number and why. With `keep_going` the others are kept, and `report` has
    what was wrong.
    """
    wrong: list[str] = []
    examples: list[Example] = []
    waiting: dict[tuple[int, Any], Example] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("a line is a JSON object")
                found = _recorded(row, waiting) if "frame" in row and "direction" in row else conversation(row)
                if found is not None:
                    examples.append(found)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
                wrong.append(f"{path.name}:{number}: {what}")
    if report is not None:
        report += wrong
    if wrong and not keep_going:
        more = f"\n… and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise FormatError("\n".join(wrong[:5]) + more)
    if not examples:
        raise FormatError(f"{path}: no example was found")
    return examples


def conversation(row: dict[str, Any]) -> Example:
    """One line of TRL's or mobile-actions' shape, checked: calls are of declared tools, results follow calls."""
    messages = [_message(m, i) for i, m in enumerate(_list(row, "messages"))]
    tools = [_tool(t, i) for i, t in enumerate(_list(row, "tools") if row.get("tools") else [])]
    if not messages or messages[-1]["role"] != "assistant":
        raise ValueError("the last message is not the assistant's")
    names = {tool["name"] for tool in tools}
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
    # Once more through the renderer: control tokens inside of texts are found here.
    system, rest = split(messages)
    wire.prefix(tools, system)
    wire.prompt(rest[:-1])
    wire.completion(rest[-1])
    return {"tools": tools, "messages": messages}


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
        return {"role": role, "tool_calls": [_call(call, i) for call in calls]}
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
    return {"type": "function", "function": {"name": inner["name"], "arguments": {k: v for k, v in (arguments or {}).items() if v is not None}}}


def _recorded(row: dict[str, Any], waiting: dict[tuple[int, Any], Example]) -> Example | None:
    """A frame of a tap: a `generate` waits for the `done` of its connection and id; all others say nothing."""
    frame = row["frame"]
    at = (row["connection"], frame.get("id"))
    if "generate" in frame and row["direction"] == "to_server":
        chat = frame["generate"].get("chat") or {}
        if chat.get("messages"):
            waiting[at] = {"messages": chat["messages"], "tools": frame["generate"].get("tools") or []}
        return None
    done = frame.get("done")
    asked = waiting.pop(at, None) if done is not None else None
    if asked is None or done.get("error") or done.get("finish_reason") not in ("stop", "tool_calls"):
        return None
    answer = {"role": "assistant", "content": done.get("content", ""), "tool_calls": done.get("tool_calls")}
    return conversation({"messages": [*asked["messages"], answer], "tools": asked["tools"]})


def write(samples: Iterable[Sample], path: Path, shape: str = "trl", count: int | None = None) -> int:
    """Writes each turn of the samples as a line of a shape, `trl` or `mobile-actions`; how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows(samples, shape):
            if count is not None and written == count:
                break
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            written += 1
    return written


def rows(samples: Iterable[Sample], shape: str) -> Iterator[dict[str, Any]]:
    """The lines that `write` writes."""
    for sample in samples:
        tools = [{"type": "function", "function": tool} for tool in sample.tools]
        for turn in sample.turns:
            first = [{"role": "developer", "content": sample.system}] if sample.system else []
            messages = [*first, *turn.messages, turn.answer]
            if shape == "mobile-actions":
                yield {"metadata": "train", "tools": [_capitals(tool) for tool in tools], "messages": messages}
            else:
                yield {"messages": messages, "tools": tools}


def _capitals(schema: Any) -> Any:
    """A tool with its types in capitals, as mobile-actions has them."""
    if isinstance(schema, list):
        return [_capitals(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: v.upper() if k == "type" and isinstance(v, str) and v != "function" else _capitals(v) for k, v in schema.items()}
