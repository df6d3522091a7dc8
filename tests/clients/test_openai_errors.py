"""What goes wrong, as the official Python client tells it: by the class of the exception, the field that is to blame
and a message that says what to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import harness
import httpx2
import openai
import pytest
from asked import CONVERT, ENDLESS, HELLO, LONG
from front import Front
from openai import OpenAI


def ask(client: OpenAI, model: str, **settings: Any) -> Any:
    return client.chat.completions.create(**{"model": model, "messages": HELLO} | settings)


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    for settings in ({}, {"stream": True}):
        with pytest.raises(openai.NotFoundError) as missing:
            ask(client, "gpt-no-such", **settings)
        assert missing.value.code == "model_not_found"
        assert missing.value.param == "model"
        assert "gpt-no-such" in missing.value.message
        assert missing.value.request_id


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Hello"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"messages": [*CONVERT, {"role": "tool", "tool_call_id": "call_9", "content": "7"}]}, "messages"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 100000}, "n"),
        ({"n": 1.5}, "n"),
        ({"stop": 5}, "stop"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -3}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -0.5}, "presence_penalty"),
        ({"logit_bias": {"7": 100}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"prediction": {"type": "content", "content": "Hello"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"store": True}, "store"),
        ({"extra_body": {"no_such_field": 1}}, "no_such_field"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_done_here_is_refused_by_name(
    client: OpenAI, model: str, settings: dict[str, Any], param: str, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model, **settings | ({"stream": True} if stream else {}))
    assert refused.value.type == "invalid_request_error"
    assert (refused.value.param or "").startswith(param)
    assert len(refused.value.message) > 20


def test_options_of_a_stream_are_refused_where_there_is_none(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model, stream_options={"include_usage": True})
    assert refused.value.param == "stream_options"


def test_what_is_no_json_is_a_bad_request(client: OpenAI) -> None:
    for body in (b"{", b"\xff\xfe", b"[]", b"7", b""):
        with pytest.raises(openai.BadRequestError) as refused:
            client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=body,
                options={"headers": {"content-type": "application/json"}},
            )
        assert refused.value.type == "invalid_request_error"


def test_what_is_longer_than_the_context_says_so(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, model, messages=[{"role": "user", "content": "word " * 60_000}])
    assert refused.value.code == "context_length_exceeded"


def test_what_is_larger_than_any_request_is_refused_unread(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, model, messages=[{"role": "user", "content": "x" * (64 << 20)}])
    assert refused.value.status_code == 413


def test_paths_and_methods_that_are_not_there_are_told_as_json(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.get("/no/such/path", cast_to=httpx2.Response)
    assert missing.value.type == "invalid_request_error"
    with pytest.raises(openai.APIStatusError) as wrong:
        client.get("/chat/completions", cast_to=httpx2.Response)
    assert wrong.value.status_code == 405
    assert wrong.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="m", prompt="Hello")


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_a_key_that_is_asked_for_must_be_shown(open_front: Callable[..., Front], way: str) -> None:
    front = open_front("--api-key", "sesame")
    with front.openai(way, api_key="sesame") as client:
        model = client.models.list().data[0].id
        assert ask(client, model).choices[0].message.content
    for key in ("sesam", "sesame2", "Sesame", "nothing"):
        with front.openai(way, api_key=key) as client:
            for refused_call in (client.models.list, lambda client=client: ask(client, model)):
                with pytest.raises(openai.AuthenticationError) as refused:
                    refused_call()
                assert refused.value.code == "invalid_api_key"
                assert "sesame" not in refused.value.message


def test_who_comes_when_the_queue_is_full_is_told_to_come_again(open_front: Callable[..., Front]) -> None:
    front = open_front("--parallel", "1", "--queue", "1", *ENDLESS)

    def long(client: OpenAI, model: str) -> None:
        # It is hung up on before its end, and whatever comes of that is not what is tested.
        with suppress(openai.APIConnectionError):
            ask(client, model, response_format=LONG, timeout=3)

    with front.openai() as client:
        model = client.models.list().data[0].id
        busy = [threading.Thread(target=long, args=(client, model)) for _ in range(2)]
        for thread, details in zip(busy, ({"running": "1"}, {"running": "1", "waiting": "1"}), strict=True):
            thread.start()
            harness.until(lambda details=details: details.items() <= front.health().items(), f"{details}")
        with pytest.raises(openai.RateLimitError) as refused:
            ask(client, model)
        assert int(refused.value.response.headers["retry-after"]) >= 1
        # Who may try again is answered in the end: the client waits as long as it was told to.
        assert ask(client.with_options(max_retries=10), model).choices[0].message.content
        for thread in busy:
            thread.join()


def test_time_that_is_up_is_the_clients_own_timeout(open_front: Callable[..., Front]) -> None:
    front = open_front("--parallel", "1", *ENDLESS)
    with front.openai(timeout=1) as client:
        model = client.with_options(timeout=30).models.list().data[0].id
        with pytest.raises(openai.APITimeoutError):
            ask(client, model, response_format=LONG)
    # Who waits no longer is computed for no longer.
    front.until_idle()
    harness.until(lambda: set(front.ended()) == {"cancelled"}, "it to count as cancelled", 10)


def test_time_that_a_request_gives_itself_ends_it_with_an_error_of_its_own(open_front: Callable[..., Front]) -> None:
    front = open_front(*ENDLESS)
    limit: Any = {"extra_body": {"callspan": {"timeout_ms": 300}}, "response_format": LONG}
    with front.openai() as client:
        model = client.models.list().data[0].id
        with pytest.raises(openai.InternalServerError) as late:
            ask(client, model, **limit)
        assert late.value.status_code == 504
        # A stream has begun by then: the error comes in the middle of it, and is one all the same.
        stream = ask(client, model, **limit, stream=True)
        with pytest.raises(openai.APIError) as cut:
            list(stream)
        assert "timeout_ms" in cut.value.message
    front.until_idle()


def test_a_server_that_is_gone_is_no_connection(open_front: Callable[..., Front]) -> None:
    front = open_front()
    front.server.kill()
    for way in ("tcp", "unix"):
        with front.openai(way) as client, pytest.raises(openai.APIConnectionError):
            client.models.list()
