"""The official Python client's responses, over TCP and over a Unix socket: text, calls and their outputs, streams with
every event that the documents tell, and what needs a memory that this server has not."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from asked import ANSWERED, CONVERSION, CONVERT, RESPONSE_TOOLS, TWO, TWO_CONVERSIONS
from openai import OpenAI
from pydantic import BaseModel

HELLO = "Hello, who are you?"


def ask(client: OpenAI, model: str, **settings: Any) -> Any:
    return client.responses.create(**{"model": model, "input": HELLO, "temperature": 0} | settings)


def with_tools(client: OpenAI, model: str, **settings: Any) -> Any:
    return ask(client, model, **{"input": CONVERT, "tools": RESPONSE_TOOLS} | settings)


def calls(response: Any) -> list[Any]:
    return [item for item in response.output if item.type == "function_call"]


def test_a_text_is_answered(client: OpenAI, model: str) -> None:
    response = ask(client, model)

    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert response.error is None
    assert response.incomplete_details is None
    # Nothing is kept here, whatever the default elsewhere.
    assert response.store is False
    [message] = response.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed")
    [part] = message.content
    assert (part.type, part.annotations) == ("output_text", [])
    assert response.output_text == part.text != ""
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.input_tokens_details.cached_tokens <= usage.input_tokens
    assert usage.output_tokens_details.reasoning_tokens == 0


def test_it_is_the_answer_that_chat_completions_give(client: OpenAI, model: str) -> None:
    chat = client.chat.completions.create(model=model, messages=[{"role": "user", "content": HELLO}], temperature=0)
    assert ask(client, model).output_text == chat.choices[0].message.content


def test_every_form_of_input_says_the_same(client: OpenAI, model: str) -> None:
    whole = ask(client, model).output_text
    easy = {"role": "user", "content": HELLO}
    parts = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": HELLO}]}
    assert ask(client, model, input=[easy]).output_text == whole
    assert ask(client, model, input=[parts]).output_text == whole
    told = ask(client, model, instructions="You are a model.")
    system = ask(client, model, input=[{"role": "system", "content": "You are a model."}, easy])
    assert told.output_text == system.output_text
    assert told.instructions == "You are a model."


def test_what_came_out_goes_back_in(client: OpenAI, model: str) -> None:
    first = ask(client, model)
    history: list[Any] = [{"role": "user", "content": HELLO}, *first.output, {"role": "user", "content": "Hello"}]
    assert ask(client, model, input=history).output_text


def test_a_call_goes_out_and_its_output_becomes_an_answer(client: OpenAI, model: str) -> None:
    response = with_tools(client, model)
    [call] = response.output
    assert (call.type, call.status, call.name) == ("function_call", "completed", "convert_units")
    assert call.call_id
    assert json.loads(call.arguments) == CONVERSION

    output = {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(ANSWERED)}
    answer = with_tools(client, model, input=[*CONVERT, call, output])
    assert "7.456" in answer.output_text


def test_several_calls_are_made_at_once_unless_that_is_forbidden(client: OpenAI, model: str) -> None:
    both = calls(with_tools(client, model, input=TWO))
    assert [json.loads(call.arguments) for call in both] == TWO_CONVERSIONS
    assert len({call.call_id for call in both}) == 2
    assert len(calls(with_tools(client, model, input=TWO, parallel_tool_calls=False))) == 1


def test_tool_choice_decides_whether_and_what_is_called(client: OpenAI, model: str) -> None:
    def names(**settings: Any) -> list[str]:
        return [call.name for call in calls(with_tools(client, model, **settings))]

    assert names(tool_choice="auto") == ["convert_units"]
    assert names(tool_choice="none") == []
    assert names(input=HELLO, tool_choice="required") != []
    assert set(names(tool_choice={"type": "function", "name": "get_time"})) == {"get_time"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_time"}]}
    assert set(names(tool_choice=allowed)) == {"get_time"}


def test_an_answer_is_parsed_into_the_class_that_described_it(client: OpenAI, model: str) -> None:
    class Lamp(BaseModel):
        room: str
        percent: int

    asked: Any = {"model": model, "input": "The lamp in the hall is at 40", "text_format": Lamp, "temperature": 0}
    response = client.responses.parse(**asked, max_output_tokens=120)
    assert isinstance(response.output_parsed, Lamp)
    with client.responses.stream(**asked, max_output_tokens=120) as stream:
        assert stream.get_final_response().output_parsed == response.output_parsed


def test_a_limit_of_tokens_leaves_it_incomplete(client: OpenAI, model: str) -> None:
    response = ask(client, model, max_output_tokens=16, input="Hello", top_p=1, text={"format": LONG_FORMAT})
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens <= 16


LONG_FORMAT = {
    "type": "json_schema",
    "name": "numbers",
    "schema": {
        "type": "object",
        "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 500}},
        "required": ["numbers"],
    },
}


def test_the_events_of_a_text_come_in_the_order_that_is_documented(client: OpenAI, model: str) -> None:
    whole = ask(client, model)
    events = list(ask(client, model, stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    pieces = [event for event in events if event.type == "response.output_text.delta"]
    assert pieces
    assert [kind for kind in types if kind != "response.output_text.delta"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    by_type = {event.type: event for event in events}
    assert by_type["response.created"].response.status == "in_progress"
    assert by_type["response.created"].response.output == []
    assert "".join(event.delta for event in pieces) == whole.output_text
    assert by_type["response.output_text.done"].text == whole.output_text
    item = by_type["response.output_item.added"].item
    assert (item.status, item.content) == ("in_progress", [])
    assert {event.item_id for event in pieces} == {item.id}
    final = by_type["response.completed"].response
    assert final.output_text == whole.output_text
    assert final.output == [by_type["response.output_item.done"].item]
    assert final.id == by_type["response.created"].response.id
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_events_of_a_call_are_its_arguments(client: OpenAI, model: str) -> None:
    [whole] = calls(with_tools(client, model))
    events = list(with_tools(client, model, stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    by_type = {event.type: event for event in events}
    added = by_type["response.output_item.added"].item
    assert (added.type, added.name, added.arguments, added.status) == (
        "function_call", "convert_units", "", "in_progress",
    )  # fmt: skip
    pieces = [event for event in events if event.type == "response.function_call_arguments.delta"]
    assert {event.item_id for event in pieces} == {added.id}
    assert "".join(event.delta for event in pieces) == whole.arguments
    assert by_type["response.function_call_arguments.done"].arguments == whole.arguments
    done = by_type["response.output_item.done"].item
    assert (done.call_id, done.arguments, done.status) == (added.call_id, whole.arguments, "completed")
    assert by_type["response.completed"].response.output == [done]


def test_the_stream_helper_puts_several_calls_together(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input=TWO, tools=RESPONSE_TOOLS, temperature=0) as stream:
        indexes = [event.output_index for event in stream if event.type == "response.function_call_arguments.done"]
        final = stream.get_final_response()
    assert [json.loads(call.arguments) for call in calls(final)] == TWO_CONVERSIONS
    assert indexes == [0, 1]


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"store": True}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input"),
        ({"extra_body": {"no_such_field": 1}}, "no_such_field"),
    ],
)  # fmt: skip
def test_what_is_not_done_here_is_refused_by_name(
    client: OpenAI, model: str, settings: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model, **settings)
    assert (refused.value.param or "").startswith(param)
