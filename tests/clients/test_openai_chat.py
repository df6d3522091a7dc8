"""The official Python client's chat completions, over TCP and over a Unix socket: text, whole and in a stream, and each
setting that says how it is chosen."""

from __future__ import annotations

import math
from typing import Any

import pytest
from asked import HELLO, LONG
from openai import OpenAI


def text(client: OpenAI, model: str, **settings: Any) -> str:
    settings = {"messages": HELLO, "temperature": 0} | settings
    return client.chat.completions.create(model=model, **settings).choices[0].message.content or ""


def test_a_chat_is_answered(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0)

    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == model
    assert answer.created > 1_700_000_000
    [choice] = answer.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.tool_calls is None
    assert choice.message.refusal is None
    usage = answer.usage
    assert usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details
    assert 0 <= (usage.prompt_tokens_details.cached_tokens or 0) <= usage.prompt_tokens


def test_every_role_and_text_in_parts_is_understood(client: OpenAI, model: str) -> None:
    parts = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "who are you?"}]
    assert text(client, model, messages=[{"role": "user", "content": parts}]) == text(client, model)
    for role in ("system", "developer"):
        told = [{"role": role, "content": "You are a model."}, *HELLO]
        again = [*told, {"role": "assistant", "content": "A model."}, {"role": "user", "content": "Hello"}]
        assert text(client, model, messages=told)
        assert text(client, model, messages=again)


def test_a_streams_pieces_are_the_whole_answer(client: OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=HELLO, temperature=0)
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, temperature=0, stream=True))

    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    assert choices[-1].finish_reason == "stop"
    # Not asked for.
    assert all(chunk.usage is None for chunk in chunks)


def test_a_streams_usage_comes_last_when_it_is_asked_for(client: OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=HELLO, temperature=0)
    chunks = list(
        client.chat.completions.create(
            model=model, messages=HELLO, temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )

    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    told = chunks[-1].usage
    assert told
    assert whole.usage
    counts = [(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) for usage in (told, whole.usage)]
    assert counts[0] == counts[1]


def test_the_stream_helper_puts_text_together(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=HELLO, temperature=0) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    assert final.choices[0].message.content == text(client, model)
    assert final.choices[0].finish_reason == "stop"
    pieces = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(pieces) == final.choices[0].message.content
    assert [event.content for event in events if event.type == "content.done"] == ["".join(pieces)]


@pytest.mark.parametrize("several", [False, True])
def test_a_stop_text_ends_the_answer_and_is_not_in_it(client: OpenAI, model: str, several: bool) -> None:
    whole = text(client, model)
    middle = whole.split()[2]
    stop = ["no such text", middle] if several else middle

    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0, stop=stop)
    assert answer.choices[0].message.content == whole.split(middle)[0]
    assert answer.choices[0].finish_reason == "stop"

    chunks = client.chat.completions.create(model=model, messages=HELLO, temperature=0, stop=stop, stream=True)
    pieces = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert pieces == whole.split(middle)[0]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_cuts_and_says_so(client: OpenAI, model: str, limit: str) -> None:
    answer = client.chat.completions.create(model=model, messages=HELLO, temperature=0, **{limit: 3})

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    assert answer.usage.completion_tokens <= 3
    assert text(client, model).startswith(answer.choices[0].message.content or "nothing came")


def test_a_seed_makes_chance_repeatable(client: OpenAI, model: str) -> None:
    def drawn(seed: int) -> str:
        return text(client, model, temperature=2, seed=seed, max_tokens=24)

    texts = [drawn(seed) for seed in range(6)]
    assert texts == [drawn(seed) for seed in range(6)]
    assert len(set(texts)) > 1


def test_a_narrow_nucleus_leaves_no_chance(client: OpenAI, model: str) -> None:
    texts = {text(client, model, temperature=1.5, top_p=0.0001, seed=seed) for seed in range(4)}
    assert texts == {text(client, model)}


def test_several_choices_are_told_apart_by_their_index(client: OpenAI, model: str) -> None:
    asked: Any = {"model": model, "messages": HELLO, "temperature": 2, "seed": 7, "n": 3, "max_tokens": 24}
    answer = client.chat.completions.create(**asked)

    assert sorted(choice.index for choice in answer.choices) == [0, 1, 2]
    texts = {choice.index: choice.message.content for choice in answer.choices}
    assert len(set(texts.values())) > 1
    one = client.chat.completions.create(**asked | {"n": 1})
    assert answer.usage
    assert one.usage
    # A prompt counts once, what was written in each choice.
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    assert answer.usage.completion_tokens > one.usage.completion_tokens

    pieces = {0: "", 1: "", 2: ""}
    ends = dict.fromkeys(pieces, 0)
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            pieces[choice.index] += choice.delta.content or ""
            ends[choice.index] += choice.finish_reason is not None
    assert pieces == texts
    assert ends == {0: 1, 1: 1, 2: 1}


def test_log_probabilities_tell_every_token_and_its_rivals(client: OpenAI, model: str) -> None:
    asked: Any = {"model": model, "messages": HELLO, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    [choice] = client.chat.completions.create(**asked).choices

    assert choice.logprobs
    tokens = choice.logprobs.content
    assert tokens
    assert b"".join(bytes(token.bytes or []) for token in tokens).decode() == choice.message.content
    for token in tokens:
        assert -50 < token.logprob <= 0
        rivals = token.top_logprobs
        assert len(rivals) == 3
        assert [rival.logprob for rival in rivals] == sorted((rival.logprob for rival in rivals), reverse=True)
        assert sum(math.exp(rival.logprob) for rival in rivals) < 1.001
        # Greedy: what was written is the most probable.
        assert (rivals[0].token, rivals[0].logprob) == (token.token, token.logprob)

    streamed = [
        token
        for chunk in client.chat.completions.create(**asked, stream=True)
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content or []
    ]
    assert streamed == tokens


def test_log_probabilities_without_rivals(client: OpenAI, model: str) -> None:
    [choice] = client.chat.completions.create(model=model, messages=HELLO, logprobs=True, max_tokens=4).choices
    assert choice.logprobs
    assert choice.logprobs.content
    assert all(token.top_logprobs == [] for token in choice.logprobs.content)


def test_a_long_answer_ends_where_the_limit_is(client: OpenAI, model: str) -> None:
    asked: Any = {"model": model, "messages": HELLO, "temperature": 0, "max_tokens": 200}
    chunks = list(
        client.chat.completions.create(
            **asked, response_format=LONG, stream=True, stream_options={"include_usage": True}
        )
    )
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["length"]
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 200


def test_what_does_not_change_the_answer_is_taken(client: OpenAI, model: str) -> None:
    harmless: Any = {
        "user": "u-1",
        "metadata": {"run": "7"},
        "store": False,
        "service_tier": "auto",
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "n": 1,
        "response_format": {"type": "text"},
    }
    assert text(client, model, **harmless) == text(client, model)
