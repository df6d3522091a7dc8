"""`callspan.evaluate`'s clients: what they ask, what they make of answers, and of servers that give none."""

import json
import tempfile
import threading
import time
from pathlib import Path

import pytest

from callspan.evaluate.chat import KEY, Chat
from callspan.evaluate.errors import Trouble
from callspan.evaluate.servers import Late
from callspan.evaluate.wire import Socket
from evaluated import LAMP, case
from fakes import completion, done, frame, openai, protocol

CASE = case({"no_call": "refuse"})
OPTIONS = {"timeout_s": 5, "max_tokens": 64}


@pytest.fixture
def path():
    # Short: the path of a Unix socket holds about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as room:
        yield Path(room) / "s"


def ask(path, answer, **options):
    with protocol(path, answer) as came:
        server = Socket(path, **OPTIONS | options)
        try:
            return server.ask(CASE), came
        finally:
            server.close()


def test_the_protocol_is_spoken(path):
    call = {"id": "call_0", "name": "set_lamp", "arguments": '{"room":"hall"}'}
    usage = {"prompt_tokens": 9, "completion_tokens": 4}

    def answer(asked):
        others = b'{"id":0,"go_away":{}}\n' + frame(asked, delta={"text": "x"})
        return others + done(asked, tool_calls=[call], finish_reason="tool_calls", usage=usage, warnings=["w"])

    reply, (asked,) = ask(path, answer, model="big")
    assert reply.calls == [{"name": "set_lamp", "arguments": {"room": "hall"}}]
    assert (reply.prompt_tokens, reply.completion_tokens, reply.warnings) == (9, 4, ["w"])
    assert reply.latency_s > 0
    assert asked["meta"] == {"timeout_ms": 5000}
    assert asked["generate"] == {
        "chat": {"messages": [{"role": "user", "content": "Dim the hall to 30"}]},
        "tools": [LAMP],
        "lenient": True,
        "max_tokens": 64,
        "model": "big",
    }


def test_a_call_that_the_server_held_back_is_told(path):
    error = {"code": "INVALID_ARGUMENT", "message": "the model's call is not valid"}
    reply, _ = ask(path, lambda asked: done(asked, finish_reason="invalid_call", content="x", error=error))
    assert (reply.calls, reply.rejected) == ([], "the model's call is not valid")


def test_a_refusal_of_one_case_is_its_answer_and_one_of_all_ends_the_run(path):
    reply, _ = ask(path, lambda asked: frame(asked, error={"code": "FAILED_PRECONDITION", "message": "too long"}))
    assert reply.error == "FAILED_PRECONDITION: too long"
    path.unlink()
    with pytest.raises(Trouble, match="NOT_FOUND: no model big"):
        ask(path, lambda asked: frame(asked, error={"code": "NOT_FOUND", "message": "no model big"}))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (lambda _: b"", "hung up"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no JSON lines"),
        (lambda _: b"7\n", "speaks no JSON lines"),
        (lambda asked: frame(asked, error="no"), "speaks no JSON lines"),
        (lambda asked: frame(asked, pong={}), "answered id, pong where `done` was due"),
    ],
)
def test_what_is_no_answer_ends_the_run(path, answer, what):
    with pytest.raises(Trouble, match=what):
        ask(path, answer)


def test_a_socket_that_is_not_there_is_named(path):
    with pytest.raises(Trouble, match=f"{path} takes no connection: No such file"):
        Socket(path, **OPTIONS)


@pytest.mark.parametrize(
    "first", [lambda _: None, lambda asked: frame(asked, error={"code": "DEADLINE_EXCEEDED", "message": "late"})]
)
def test_a_late_answer_is_given_up_and_the_next_is_not_taken_for_it(path, monkeypatch, first):
    monkeypatch.setattr("callspan.evaluate.wire._SLACK_S", 0.05)
    with protocol(path, lambda asked: first(asked) if asked["id"] == 1 else done(asked, content="second")):
        server = Socket(path, timeout_s=0.05, max_tokens=8)
        with pytest.raises(Late):
            server.ask(CASE)
        assert server.ask(CASE).content == "second"
        server.close()


def test_chat_completions_are_asked_and_read(monkeypatch):
    monkeypatch.setenv(KEY, "secret")
    function = {"name": "set_lamp", "arguments": '{"room":"hall"}'}
    came = []

    def answer(body, handler):
        came.append((body, handler.path, handler.headers["Authorization"]))
        return completion(content=None, tool_calls=[{"id": "x", "type": "function", "function": function}])

    with openai(answer) as url:
        reply = Chat(url, model="m", **OPTIONS).ask(CASE)
    assert (reply.calls, reply.content) == ([{"name": "set_lamp", "arguments": {"room": "hall"}}], "")
    ((body, path, key),) = came
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert body["tools"] == [{"type": "function", "function": LAMP}]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("m", 0, 64)


@pytest.mark.parametrize("arguments", ["{", '{"level": NaN}', '{"level": ' + "7" * 5000 + "}", "[" * 200_000])
def test_arguments_that_are_no_json_stay_text(arguments):
    function = {"name": "set_lamp", "arguments": arguments}
    with openai(lambda *_: completion(tool_calls=[{"function": function}])) as url:
        reply = Chat(url, **OPTIONS).ask(CASE)
    assert reply.calls == [{"name": "set_lamp", "arguments": arguments}]


def test_a_timeout_below_a_millisecond_is_no_endless_one(path):
    _, (asked,) = ask(path, lambda asked: done(asked, content="x"), timeout_s=0.0004)
    assert asked["meta"] == {"timeout_ms": 1}


def test_earlier_calls_are_told_in_openais_words():
    call = {"id": "call_0", "name": "set_lamp", "arguments": {"room": "hall"}}
    told = case({"answer": ["done"]})
    told.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
    told.messages.append({"role": "tool", "content": "{}", "tool_call_id": "call_0", "name": "set_lamp"})
    came = []
    with openai(lambda body, _: (came.append(body), completion(content="done"))[1]) as url:
        Chat(url, **OPTIONS).ask(told)
    function = {"name": "set_lamp", "arguments": '{"room": "hall"}'}
    assert came[0]["messages"][1]["tool_calls"] == [{"id": "call_0", "type": "function", "function": function}]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (422, {"error": {"message": "not valid", "code": "invalid_call"}}, ("", "not valid")),
        (400, {"error": {"message": "too long", "code": None}}, ("400: too long", "")),
        (400, {"error": "too long"}, ("400: too long", "")),
    ],
)
def test_what_an_openai_server_refuses_is_told(status, body, expected):
    with openai(lambda *_: (status, json.dumps(body).encode())) as url:
        reply = Chat(url, **OPTIONS).ask(CASE)
    assert (reply.error, reply.rejected) == expected


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (200, b"<html>", "200 with what is no chat completion"),
        (200, b'{"choices": []}', "200 with what is no chat completion"),
        (200, b'{"choices": [{"message": {"content": ["x"]}}]}', "200 with what is no chat completion"),
        (401, b'{"error": {"message": "no key"}}', "401: no key"),
        (302, b"", "302 with what is no chat completion"),
    ],
)
def test_an_openai_server_that_answers_no_case_ends_the_run(status, body, what):
    with openai(lambda *_: (status, body)) as url, pytest.raises(Trouble, match=what):
        Chat(url, **OPTIONS).ask(CASE)


def test_an_openai_server_that_hangs_is_late_and_one_that_is_not_there_is_named():
    released = threading.Event()
    with openai(lambda *_: (released.wait(5), (200, b"{}"))[1]) as url:
        with pytest.raises(Late):
            Chat(url, timeout_s=0.05, max_tokens=8).ask(CASE)
        released.set()
    with pytest.raises(Trouble, match=r"does not answer: .*refused"):
        Chat(url, **OPTIONS).ask(CASE)


BUSY = b'{"error": {"message": "slow down"}}'


@pytest.mark.parametrize(
    ("back_off", "busy"),
    [
        (0.0, (429, BUSY, ("Retry-After", "1"))),
        (1.0, (503, b"<html>")),
        (1.0, (429, BUSY, ("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"))),
    ],
)
def test_a_busy_server_is_waited_for_and_the_wait_is_not_its_time(monkeypatch, back_off, busy):
    monkeypatch.setattr("callspan.evaluate.chat._BACK_OFF_S", (back_off,))
    answers = iter([busy, completion(content="No.")])
    started = time.monotonic()
    with openai(lambda *_: next(answers)) as url:
        reply = Chat(url, **OPTIONS).ask(CASE)
    took = time.monotonic() - started
    assert reply.content == "No."
    assert took >= 1
    assert reply.latency_s <= took - 1


@pytest.mark.parametrize(
    ("busy", "tries", "what", "cure"),
    [
        ((429, BUSY), 3, "refuses: 429: slow down", "try again later"),
        ((503, b"<html>", ("Retry-After", "0")), 3, "refuses: 503: it is busy", "Retry-After: 0"),
        ((429, BUSY, ("Retry-After", "3600")), 1, "refuses: 429: slow down", "Retry-After: 3600"),
    ],
)
def test_a_server_that_stays_busy_ends_the_run(monkeypatch, busy, tries, what, cure):
    monkeypatch.setattr("callspan.evaluate.chat._BACK_OFF_S", (0.0, 0.0))
    came = []
    with openai(lambda *_: (came.append(1), busy)[1]) as url, pytest.raises(Trouble, match=what) as caught:
        Chat(url, **OPTIONS).ask(CASE)
    assert len(came) == tries
    assert cure in caught.value.cure


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x/v1", "http://", "http://x:y/"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Trouble, match="is no http://"):
        Chat(url, **OPTIONS)
