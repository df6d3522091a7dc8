"""Another server's model behind our protocol: a rust-inference whose model is a second one's, which it reaches over
HTTP on a Unix socket, as it would reach any server that speaks OpenAI's HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import BIN, Server, Wire, run

QUESTION = "How many miles is 12 km?"


@pytest.fixture
def far(start: Callable[..., Server], room: Path) -> Server:
    """A server whose only model is another server's."""
    peer = room / "peer.sock"
    start("rust-inference", "--http-socket", peer, at="near")
    return start("rust-inference", "--model", f"far=openai:unix:{peer}", at="far")


def test_a_question_is_answered_through_two_servers(far: Server, executor: Server) -> None:
    asked = run(BIN / "callspan", "ask", QUESTION, "--json", "--inference", far.socket, "--executor", executor.socket)
    assert asked.status == 0, asked.stderr
    alone = run(
        BIN / "callspan",
        "ask",
        QUESTION,
        "--json",
        "--inference",
        far.socket.with_name("near"),
        "--executor",
        executor.socket,
    )
    assert alone.status == 0, alone.stderr

    def told(text: str) -> list[object]:
        events = [json.loads(line) for line in text.splitlines()]
        # What is warned of is not the same: one of them was not constrained.
        return [event.get("arguments") or event.get("text") for event in events if "warning" not in event.values()]

    assert told(asked.stdout) == told(alone.stdout), "the same model says the same, however it is reached"
    assert "convert_units" in asked.stdout


def test_what_comes_through_says_that_it_was_checked(far: Server) -> None:
    tool = {
        "name": "convert_units",
        "parameters": json.dumps(
            {"type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"]}
        ),
    }
    generate = {
        "chat": {"messages": [{"role": "user", "content": QUESTION}]},
        "tools": [tool],
        "tool_choice": "required",
        "max_calls": 1,
        "stream": True,
    }
    with Wire(far.socket) as wire:
        done = wire.ask(1, generate=generate)["done"]
        assert done["finish_reason"] == "tool_calls", done
        assert json.loads(done["tool_calls"][0]["arguments"])["value"] == 12
        assert done["guarantee"] == "checked"
        assert done["usage"]["prompt_tokens"] > 0
        (model,) = wire.ask(3, models={})["model_list"]["models"]
        assert model["name"] == f"far/{done['model'].removeprefix('far/')}"
        vectors = wire.ask(5, embed={"input": ["Good morning"]})["embeddings"]
        assert len(vectors["vectors"][0]["values"]) == vectors["dimensions"]
