"""Examples out of recordings of our own sessions: what `ipc tap --format json` prints."""

from __future__ import annotations

from typing import Any

from callspan.finetune.data.formats.conversations import Example, conversation


def is_recorded(row: dict[str, Any]) -> bool:
    """Whether a line is a tap's."""
    return "frame" in row and "direction" in row


def recorded(row: dict[str, Any], waiting: dict[tuple[int, Any], Example]) -> Example | None:
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
