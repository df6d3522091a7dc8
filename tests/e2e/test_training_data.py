"""What the model learns from is what the engine shows it: prompts to the byte, and calls that its constraint accepts.

The generator renders by itself, as training draws millions of samples. Were it to differ from the engine by a space,
the model would be taught another format than the one in which it is asked.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from callspan.finetune.data.generate import Generator
from callspan.finetune.data.samples import Sample, as_openai
from callspan.finetune.data.wire import RESPONSE
from callspan.finetune.data.world import World
from harness import BIN, run

SAMPLES = 300
KINDS = {"call", "parallel", "refuse", "ask", "answer", "error", "chat"}


@pytest.fixture(scope="module", params=[True, False], ids=["trained", "held-out"])
def samples(request: pytest.FixtureRequest) -> list[Sample]:
    drawn = list(islice(Generator(World(request.param), 11), SAMPLES))
    assert {turn.kind for sample in drawn for turn in sample.turns} == KINDS
    assert {len(sample.tools) for sample in drawn} >= set(range(1, 9))
    return drawn


def batch(command: str, room: Path, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `rust-inference COMMAND --batch` answers to each line."""
    asked = room / f"{command}.jsonl"
    asked.write_text("".join(json.dumps({"id": i, **line}) + "\n" for i, line in enumerate(lines)), "utf-8")
    with asked.open() as stdin:
        ran = run(BIN / "rust-inference", command, "--batch", stdin=stdin)
    assert ran.status == 0, ran.stderr
    answers = ran.events()
    assert [answer["id"] for answer in answers] == list(range(len(lines)))
    return answers


def test_python_renders_what_the_engine_renders(samples: list[Sample], room: Path) -> None:
    lines, expected = [], []
    for sample in samples:
        developer = [{"role": "developer", "content": sample.system}]
        for turn in sample.turns:
            messages = developer + as_openai(turn.messages)
            lines.append({"tools": sample.tools, "messages": messages})
            expected.append(sample.prefix() + turn.prompt())
    answers = batch("render", room, lines)
    assert [answer for answer in answers if not answer["ok"]] == []
    assert [answer["result"]["prompt"] for answer in answers] == expected


def test_the_constraint_accepts_every_call_that_is_learnt(samples: list[Sample], room: Path) -> None:
    lines, expected = [], []
    for sample in samples:
        for turn in sample.turns:
            if turn.kind in ("call", "parallel"):
                lines.append({"tools": sample.tools, "text": turn.completion().removesuffix(RESPONSE)})
                expected.append([call["function"] for call in turn.answer["tool_calls"]])
    answers = batch("accept", room, lines)
    assert [answer for answer in answers if not answer["ok"]] == []
    assert [answer["result"]["tool_calls"] for answer in answers] == expected
    # It does refuse: the same calls, of functions that nobody declared.
    others = [line | {"text": line["text"].replace("call:", "call:un", 1)} for line in lines]
    assert not any(answer["ok"] for answer in batch("accept", room, others))
