"""The official Python client's structured output, over TCP and over a Unix socket: what comes is what the class or the
schema says, whatever a toy of a model makes of the question."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import openai
import pytest
from asked import CHAT_TOOLS, HELLO
from openai import OpenAI
from pydantic import BaseModel, Field


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Lamp(BaseModel):
    room: str = Field(description="Where it stands")
    colour: Colour
    percent: int = Field(ge=0, le=100)
    tags: list[str] = Field(max_length=2)
    on: bool
    owner: str | None


ASKED = [{"role": "user", "content": "The red lamp in the kitchen is at 40 percent"}]
LIMIT = 160
# What is not held while it is written.
UNKNOWN = {"not": {"type": "null"}}


def test_an_answer_is_parsed_into_the_class_that_described_it(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(
        model=model, messages=ASKED, response_format=Lamp, temperature=0, max_tokens=LIMIT
    )
    [choice] = answer.choices
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, Lamp)
    assert choice.message.parsed == Lamp.model_validate_json(choice.message.content or "")


def test_a_stream_is_parsed_into_the_class_that_described_it(client: OpenAI, model: str) -> None:
    whole = client.chat.completions.parse(
        model=model, messages=ASKED, response_format=Lamp, temperature=0, max_tokens=LIMIT
    )
    with client.chat.completions.stream(
        model=model, messages=ASKED, response_format=Lamp, temperature=0, max_tokens=LIMIT
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    assert final.choices[0].message.parsed == whole.choices[0].message.parsed
    assert [event.parsed for event in events if event.type == "content.done"] == [whole.choices[0].message.parsed]


def test_chance_never_leaves_the_schema(client: OpenAI, model: str) -> None:
    for seed in range(10):
        answer = client.chat.completions.parse(
            model=model, messages=ASKED, response_format=Lamp, temperature=1.5, seed=seed, max_tokens=LIMIT
        )
        assert isinstance(answer.choices[0].message.parsed, Lamp)


def test_a_json_object_is_one(client: OpenAI, model: str) -> None:
    asked: Any = {
        "model": model,
        "messages": [{"role": "user", "content": "Answer in JSON: who are you?"}],
        "response_format": {"type": "json_object"},
        "temperature": 0,
        "max_tokens": LIMIT,
    }
    content = client.chat.completions.create(**asked).choices[0].message.content
    assert isinstance(json.loads(content or ""), dict)
    chunks = client.chat.completions.create(**asked, stream=True)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == content


def test_a_form_together_with_tools_is_both_or_an_error_that_names_it(client: OpenAI, model: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "lamp", "strict": True, "schema": Lamp.model_json_schema()}}
    asked: Any = {"model": model, "messages": ASKED, "tools": CHAT_TOOLS, "response_format": form, "temperature": 0}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked)
    assert refused.value.param == "response_format"
    answer = client.chat.completions.create(**asked, tool_choice="none", max_tokens=LIMIT)
    Lamp.model_validate_json(answer.choices[0].message.content or "")


def test_what_a_form_cannot_promise_is_promised_to_nobody_who_is_strict(client: OpenAI, model: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": False, "schema": UNKNOWN}}
    answer = client.chat.completions.create(model=model, messages=HELLO, response_format=form, max_tokens=LIMIT)
    json.loads(answer.choices[0].message.content or "")
    # What could not be held is told in what is added to the documented answer.
    assert "not" in str(answer.model_extra)


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "yaml"}, "response_format"),
        ({"type": "json_schema"}, "response_format"),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "quark"}}}, "response_format"),
        ({"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": UNKNOWN}}, "response_format"),
    ],
)
def test_a_form_that_cannot_be_held_is_refused(client: OpenAI, model: str, form: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=model, messages=HELLO, response_format=form)
    assert (refused.value.param or "").startswith(param)
