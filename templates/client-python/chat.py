"""A conversation with a tool that is a function of this program: python3 chat.py "Set an alarm for 7"."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from callspan_client import Client, ServerError, default_socket

MOST_ROUNDS = 4

# What the model is told of the tool. Its calls are valid by this schema: no hour but these is ever written.
TOOLS = [
    {
        "name": "set_alarm",
        "description": "Set an alarm.",
        "parameters": {
            "type": "object",
            "properties": {"hour": {"type": "integer", "description": "The hour", "minimum": 0, "maximum": 23}},
            "required": ["hour"],
        },
    }
]


def set_alarm(hour: int) -> dict[str, Any]:
    return {"set": f"{hour:02}:00"}


FUNCTIONS: dict[str, Callable[..., Any]] = {"set_alarm": set_alarm}


def chat(client: Client, question: str, show: Callable[[str], None]) -> str:
    """Ask, run the calls that the model makes, tell it their results, until it answers; gives the answer."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    for turn in range(MOST_ROUNDS):
        done: dict[str, Any] = {}
        for frame in client.ask(generate={"chat": {"messages": messages}, "tools": TOOLS, "stream": True}):
            show(frame.get("delta", {}).get("text", ""))
            done = frame.get("done", {})
        if done["finish_reason"] == "invalid_call":
            raise RuntimeError(done["error"]["message"])
        if done["finish_reason"] != "tool_calls":
            show("\n")
            return done.get("content", "")
        # The model's ids begin anew in each turn, and results are matched by them.
        calls = [call | {"id": f"{turn}-{call['id']}"} for call in done["tool_calls"]]
        messages.append({"role": "assistant", "content": done.get("content", ""), "tool_calls": calls})
        for call in calls:
            result = json.dumps(run(call["name"], json.loads(call["arguments"])))
            show(f"{call['name']} {call['arguments']} = {result}\n")
            messages.append({"role": "tool", "content": result, "tool_call_id": call["id"], "name": call["name"]})
    raise RuntimeError(f"no answer after {MOST_ROUNDS} rounds")


def run(name: str, arguments: dict[str, Any]) -> Any:
    """Call the function; the model is told of a failure as of a result."""
    try:
        return FUNCTIONS[name](**arguments)
    except Exception as error:
        return {"error": str(error)}


def main() -> int:
    if len(sys.argv) != 2:
        print('usage: python3 chat.py "Set an alarm for 7"', file=sys.stderr)
        return 2
    try:
        with Client(default_socket()) as client:
            chat(client, sys.argv[1], lambda text: print(text, end="", flush=True))
    except (ServerError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
