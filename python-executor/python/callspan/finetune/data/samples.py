"""What the generator makes: several turns with the same tools, as messages, from which prompts and files follow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from callspan.finetune.data import wire

Message = dict[str, Any]
REFUSAL = "I cannot do that with the functions I have."


@dataclass(slots=True)
class Turn:
    """One thing that the model has to write, and all that was said before it."""

    # call, parallel, refuse, ask, answer, error, chat
    kind: str
    messages: list[Message]
    answer: Message
    # Of `ask`: the parameters that are missing. Of `answer`: what the answer must hold.
    about: list[str] = field(default_factory=list)
    # Which family or data set it came from.
    origin: str = ""
    # Of `call` and `parallel`: the tools called, each with its values by argument's path.
    made: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def prompt(self) -> str:
        """What stands behind the prefix, up to the model's turn."""
        return wire.prompt(self.messages)

    def completion(self) -> str:
        """What the model has to write."""
        return wire.completion(self.answer)


@dataclass(slots=True)
class Sample:
    """Tools, and turns that have nothing to do with one another."""

    tools: list[dict[str, Any]]
    turns: list[Turn]
    system: str = wire.TRIGGER

    def prefix(self) -> str:
        """The beginning that all the turns have in common."""
        return wire.prefix(self.tools, self.system) if self.tools or self.system else "<bos>"


def says(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


def answers(text: str) -> Message:
    """The model's message in prose."""
    return {"role": "assistant", "content": text}


def calls(*made: tuple[str, dict[str, Any]]) -> Message:
    """The model's message that calls tools."""
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": n, "arguments": a}} for n, a in made],
    }


def returned(name: str, content: Any) -> Message:
    """A tool's message."""
    return {"role": "tool", "name": name, "content": content}


def as_openai(messages: Iterable[Message]) -> list[Message]:
    """Messages as OpenAI's API has them: with ids, and arguments and results as JSON in a text."""
    found = []
    results = 0
    for message in messages:
        out = dict(message)
        if made := out.get("tool_calls"):
            out["content"] = None
            out["tool_calls"] = [
                {
                    "id": f"call_{i}",
                    "type": "function",
                    "function": one["function"] | {"arguments": json.dumps(one["function"]["arguments"])},
                }
                for i, one in enumerate(made)
            ]
        if out["role"] == "tool":
            # Results stand in the order of their calls.
            out |= {"tool_call_id": f"call_{results}", "content": json.dumps(out["content"], ensure_ascii=False)}
            results += 1
        else:
            results = 0
        found.append(out)
    return found
