"""The official Python client when several are at work: streams that are closed in the middle, a hundred at once, and
the asynchronous client."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from asked import CHAT_TOOLS, CONVERT, ENDLESS, HELLO, LONG, RESPONSE_TOOLS
from front import WAYS, Front
from openai import AsyncOpenAI


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_is_closed_in_the_middle_frees_the_model(open_front: Callable[..., Front], way: str) -> None:
    front = open_front("--parallel", "1", *ENDLESS)
    with front.openai(way) as client:
        model = client.models.list().data[0].id
        for _ in range(3):
            stream = client.chat.completions.create(model=model, messages=HELLO, response_format=LONG, stream=True)
            pieces = iter(stream)
            for _ in range(5):
                next(pieces)
            assert front.health()["running"] == "1"
            stream.close()
            front.until_idle()
        response = client.responses.create(
            model=model,
            input="Hello",
            stream=True,
            text={"format": {"type": "json_schema", **LONG["json_schema"]}},
        )
        events = iter(response)
        while next(events).type != "response.output_text.delta":
            pass
        assert front.health()["running"] == "1"
        response.close()
        # None was written to its end, which an answer of this length has somewhere.
        front.until_ended({"cancelled": 4})
        answer = client.chat.completions.create(model=model, messages=HELLO)
        assert answer.choices[0].message.content


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_a_task_that_is_cancelled_frees_the_model(open_front: Callable[..., Front], way: str) -> None:
    front = open_front("--parallel", "1", *ENDLESS)
    async with front.async_openai(way) as client:
        model = (await client.models.list()).data[0].id
        with anyio.move_on_after(1) as scope:
            # Not streamed: only the end of the connection tells that nobody waits.
            await client.chat.completions.create(model=model, messages=HELLO, response_format=LONG)
        assert scope.cancelled_caught
        await anyio.to_thread.run_sync(front.until_ended, {"cancelled": 1})


async def chat(client: AsyncOpenAI, model: str, tools: bool) -> tuple[str, str, str | None]:
    """The text, the call's arguments and the reason of a stream's end."""
    stream = await client.chat.completions.create(
        model=model,
        messages=CONVERT if tools else HELLO,
        temperature=0,
        stream=True,
        **({"tools": CHAT_TOOLS} if tools else {}),
    )
    text, arguments, reason = "", "", None
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for fragment in choice.delta.tool_calls or []:
                assert fragment.function
                arguments += fragment.function.arguments or ""
            reason = choice.finish_reason or reason
    return text, arguments, reason


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_a_hundred_streams_at_once_are_what_each_is_alone(open_front: Callable[..., Front], way: str) -> None:
    front = open_front("--queue", "100")
    async with front.async_openai(way) as client:
        model = (await client.models.list()).data[0].id
        alone = {tools: await chat(client, model, tools) for tools in (True, False)}
        assert [alone[tools][2] for tools in (True, False)] == ["tool_calls", "stop"]
        answers: list[tuple[bool, tuple[str, str, str | None]]] = []

        async def one(tools: bool) -> None:
            answers.append((tools, await chat(client, model, tools)))

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, number % 2 == 0)
    assert len(answers) == 100
    assert all(answer == alone[tools] for tools, answer in answers)


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_the_asynchronous_client_gets_what_the_other_gets(shared_front: Front, model: str, way: str) -> None:
    async with shared_front.async_openai(way) as client:
        with shared_front.openai(way) as plain:
            whole = plain.chat.completions.create(model=model, messages=CONVERT, tools=CHAT_TOOLS, temperature=0)
            vectors = plain.embeddings.create(model=model, input="Hello").data
        answer = await client.chat.completions.create(model=model, messages=CONVERT, tools=CHAT_TOOLS, temperature=0)
        [ours] = answer.choices[0].message.tool_calls or []
        [theirs] = whole.choices[0].message.tool_calls or []
        assert ours.function == theirs.function
        assert (await client.embeddings.create(model=model, input="Hello")).data == vectors

        async with client.chat.completions.stream(
            model=model, messages=CONVERT, tools=CHAT_TOOLS, temperature=0
        ) as stream:
            final = await stream.get_final_completion()
        [ours] = final.choices[0].message.tool_calls or []
        assert ours.function.arguments == theirs.function.arguments

        async with client.responses.stream(model=model, input=CONVERT, tools=RESPONSE_TOOLS, temperature=0) as events:
            response = await events.get_final_response()
        assert [item.arguments for item in response.output if item.type == "function_call"] == [
            theirs.function.arguments
        ]
