"""The official Python client's tools in chat completions, over TCP and over a Unix socket: calls, their results, each
form of tool_choice, and how a stream of fragments becomes a call again."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from asked import ANSWERED, CHAT_TOOLS, CONVERSION, CONVERT, HELLO, TIME, TWO, TWO_CONVERSIONS, UNITS, conversions
from openai import OpenAI
from pydantic import BaseModel


def ask(client: OpenAI, model: str, **settings: Any) -> Any:
    settings = {"messages": CONVERT, "tools": CHAT_TOOLS, "temperature": 0} | settings
    return client.chat.completions.create(model=model, **settings)


def called(client: OpenAI, model: str, **settings: Any) -> list[str]:
    """The names of the functions that are called."""
    return [call.function.name for call in ask(client, model, **settings).choices[0].message.tool_calls or []]


def test_a_call_goes_out_and_its_result_becomes_an_answer(client: OpenAI, model: str) -> None:
    [choice] = ask(client, model).choices
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    [call] = choice.message.tool_calls
    assert call.type == "function"
    assert call.id
    assert call.function.name == "convert_units"
    assert json.loads(call.function.arguments) == CONVERSION

    # As the documents show it: the message itself goes back, and the result behind it.
    result = {"role": "tool", "tool_call_id": call.id, "content": json.dumps(ANSWERED)}
    [choice] = ask(client, model, messages=[*CONVERT, choice.message, result]).choices
    assert choice.finish_reason == "stop"
    assert "7.456" in choice.message.content
    assert "miles" in choice.message.content


def test_fragments_of_a_stream_are_the_whole_call(client: OpenAI, model: str) -> None:
    [whole] = ask(client, model).choices[0].message.tool_calls
    chunks = list(ask(client, model, stream=True))

    choices = [choice for chunk in chunks for choice in chunk.choices]
    fragments = [fragment for choice in choices for fragment in choice.delta.tool_calls or []]
    first, *rest = fragments
    assert (first.index, first.type, first.function.name) == (0, "function", "convert_units")
    assert first.id
    # Name and id come once: clients that add up all strings would double them.
    assert all(fragment.index == 0 and not fragment.id and not fragment.function.name for fragment in rest)
    assert "".join(fragment.function.arguments or "" for fragment in fragments) == whole.function.arguments
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["tool_calls"]


def test_the_stream_helper_puts_calls_together(client: OpenAI, model: str) -> None:
    whole = ask(client, model).choices[0].message.tool_calls
    with client.chat.completions.stream(model=model, messages=CONVERT, tools=CHAT_TOOLS, temperature=0) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    calls = final.choices[0].message.tool_calls
    assert calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        (call.function.name, call.function.arguments) for call in whole
    ]
    deltas = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert "".join(deltas) == whole[0].function.arguments
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert (done.name, done.arguments, done.index) == ("convert_units", whole[0].function.arguments, 0)


def test_arguments_are_parsed_into_the_class_that_described_them(client: OpenAI, model: str) -> None:
    class ConvertUnits(BaseModel):
        """Convert a value from one unit to another."""

        value: float
        from_unit: str
        to_unit: str

    tool = openai.pydantic_function_tool(ConvertUnits, name="convert_units")
    answer = client.chat.completions.parse(model=model, messages=CONVERT, tools=[tool], temperature=0)
    [call] = answer.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == ConvertUnits(value=12, from_unit="km", to_unit="miles")

    with client.chat.completions.stream(model=model, messages=CONVERT, tools=[tool], temperature=0) as stream:
        [call] = stream.get_final_completion().choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == ConvertUnits(value=12, from_unit="km", to_unit="miles")


def test_several_calls_are_made_at_once_unless_that_is_forbidden(client: OpenAI, model: str) -> None:
    both = ask(client, model, messages=TWO).choices[0].message.tool_calls
    assert len({call.id for call in both}) == 2
    assert conversions(both) == TWO_CONVERSIONS
    assert len(called(client, model, messages=TWO, parallel_tool_calls=False)) == 1

    # In a stream they are told apart by their index.
    together: dict[int, dict[str, str]] = {}
    for chunk in ask(client, model, messages=TWO, stream=True):
        for choice in chunk.choices:
            for fragment in choice.delta.tool_calls or []:
                call = together.setdefault(fragment.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += fragment.id or ""
                call["name"] += fragment.function.name or ""
                call["arguments"] += fragment.function.arguments or ""
    assert [(call["name"], call["arguments"]) for _, call in sorted(together.items())] == [
        (call.function.name, call.function.arguments) for call in both
    ]
    assert len({call["id"] for call in together.values()}) == 2


def test_the_results_of_several_calls_go_back_together(client: OpenAI, model: str) -> None:
    both = ask(client, model, messages=TWO).choices[0].message.tool_calls
    calls = {"role": "assistant", "content": None, "tool_calls": [call.model_dump() for call in both]}
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps(answered)}
        for call, answered in zip(both, (ANSWERED, {"value": 11.023, "unit": "pounds"}), strict=True)
    ]
    # The order of results is not that of calls: the ids say what belongs together, so the prompt is the same.
    there, back = (ask(client, model, messages=[*TWO, calls, *order]) for order in (results, results[::-1]))
    assert there.choices[0].finish_reason == "stop"
    assert "value" in there.choices[0].message.content
    assert back.choices[0].message.content == there.choices[0].message.content
    assert back.usage.prompt_tokens == there.usage.prompt_tokens


def test_no_two_calls_have_the_same_id(client: OpenAI, model: str) -> None:
    ids = [ask(client, model).choices[0].message.tool_calls[0].id for _ in range(3)]
    assert len(set(ids)) == 3


def test_tool_choice_decides_whether_and_what_is_called(client: OpenAI, model: str) -> None:
    assert called(client, model) == called(client, model, tool_choice="auto") == ["convert_units"]
    assert called(client, model, messages=HELLO) == []
    assert called(client, model, messages=HELLO, tool_choice="required") != []
    assert called(client, model, tool_choice="none") == []
    assert ask(client, model, tool_choice="none").choices[0].finish_reason == "stop"
    named = {"type": "function", "function": {"name": "get_time"}}
    assert set(called(client, model, tool_choice=named)) == {"get_time"}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_only_allowed_tools_are_called(client: OpenAI, model: str, mode: str) -> None:
    allowed = [{"type": "function", "function": {"name": "get_time"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    names = called(client, model, tool_choice=choice)
    assert set(names) <= {"get_time"}
    if mode == "required":
        assert names


def test_what_a_schema_says_holds_whatever_is_asked(client: OpenAI, model: str) -> None:
    narrow = {
        "type": "object",
        "properties": {"room": {"enum": ["kitchen", "hall"]}, "percent": {"type": "integer", "maximum": 10}},
        "required": ["percent", "room"],
        "additionalProperties": False,
    }
    lamp = {"name": "set_lamp", "description": "Switch a lamp", "parameters": narrow, "strict": True}
    asked = [{"role": "user", "content": "Set the lamp in the cellar to 80 percent"}]
    answer = ask(client, model, messages=asked, tools=[{"type": "function", "function": lamp}], tool_choice="required")
    for call in answer.choices[0].message.tool_calls:
        arguments = json.loads(call.function.arguments)
        assert arguments["room"] in ("kitchen", "hall")
        assert arguments["percent"] <= 10


def test_a_tool_without_parameters_is_called_with_none(client: OpenAI, model: str) -> None:
    bell = {"type": "function", "function": {"name": "ring_bell", "description": "Ring the bell"}}
    answer = ask(client, model, tools=[bell], tool_choice="required", parallel_tool_calls=False)
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("ring_bell", {})


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "no_such_tool"}}}, "tool_choice"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "not a name!"}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {**UNITS, "parameters": {"type": "quark"}}}]}, "tools"),
        ({"tools": [{"type": "function", "function": tool} for tool in (TIME, TIME)]}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "shell"}}]}, "tools"),
        ({"functions": [UNITS], "tools": None}, "functions"),
    ],
)
def test_what_cannot_be_called_is_refused_by_name(
    client: OpenAI, model: str, settings: dict[str, Any], param: str
) -> None:
    settings = {name: value if value is not None else openai.omit for name, value in settings.items()}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model, **settings)
    assert refused.value.type == "invalid_request_error"
    assert (refused.value.param or "").startswith(param)
