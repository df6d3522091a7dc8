"""A server that speaks OpenAI's chat completions, over TCP or a Unix socket."""

import http.client
import json
import os
import socket
import time
import urllib.parse
from typing import Any

from callspan.evaluate.cases import Case
from callspan.evaluate.errors import Trouble
from callspan.evaluate.judge import Reply
from callspan.evaluate.servers import LONGEST, Late, messages
from callspan.evaluate.wire import call_of

# Shown to the server that was named, and to no other: redirections are not followed.
KEY = "CALLSPAN_PEER_API_KEY"
_FOR_ALL = {401, 402, 403, 404, 405, 501, 502}
# Too many requests, or too many of others': later it may take the same one.
_BUSY = {429, 503}
# Seconds before each further try, where the server does not say how many.
_BACK_OFF_S = (1.0, 2.0, 4.0, 8.0)
# More than this is not waited for: a day's allowance that is spent.
_LONGEST_WAIT_S = 120.0
_CURE = "the URL ends where /chat/completions begins: http://127.0.0.1:8080/v1, or unix:PATH of --http-socket"


class Chat:
    """One server; each case is a request of its own on a connection of its own, as from most clients."""

    def __init__(self, url: str, *, timeout_s: float, max_tokens: int, model: str = "") -> None:
        """Take `http://HOST:PORT/v1`, `https://…` or `unix:PATH`; without a path it is /v1."""
        self.what = f"{url}{f', {model}' if model else ''}"
        self._url, self._timeout_s = url, timeout_s
        self._options: dict[str, Any] = {"temperature": 0, "max_tokens": max_tokens}
        if model:
            self._options["model"] = model
        if url.startswith("unix:"):
            self._parts, self._base = None, "/v1"
        else:
            self._parts = _address(url)
            self._base = self._parts.path.rstrip("/") or "/v1"
        self._headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            self._headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        """Nothing is open between cases."""

    def ask(self, case: Case) -> Reply:
        """Ask one case."""
        body: dict[str, Any] = {"messages": messages(case, _call)} | self._options
        if case.tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in case.tools]
        for back_off in (*_BACK_OFF_S, None):
            started = time.perf_counter()
            status, text, retry_after = self._post(json.dumps(body).encode())
            # Of this try alone: how long others kept the server busy says nothing about the model.
            took = time.perf_counter() - started
            if status not in _BUSY:
                break
            wait = float(retry_after) if retry_after.isdecimal() else back_off
            if back_off is None or wait > _LONGEST_WAIT_S:
                raise self._busy(status, text, retry_after)
            time.sleep(wait)
        reply = self._reply(status, text)
        reply.latency_s = took
        return reply

    def _busy(self, status: int, text: bytes, retry_after: str) -> Trouble:
        try:
            said = _error(text)[0]
        except _MALFORMED:
            said = "it is busy"
        cure = f"it says when: Retry-After: {retry_after}" if retry_after else "try again later"
        return Trouble(f"{self._url} refuses: {status}: {said}", cure)

    def _post(self, body: bytes) -> tuple[int, bytes, str]:
        connection = self._connection()
        try:
            connection.request("POST", f"{self._base}/chat/completions", body, self._headers)
            answer = connection.getresponse()
            text = answer.read(LONGEST + 1)
        except TimeoutError:
            raise Late(f"no answer within {self._timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"{self._url} does not answer: {error}", _CURE) from None
        finally:
            connection.close()
        if len(text) > LONGEST:
            raise Trouble(f"{self._url} answers with more than {LONGEST} bytes", _CURE)
        return answer.status, text, answer.getheader("Retry-After", "")

    def _connection(self) -> http.client.HTTPConnection:
        if self._parts is None:
            return _Unix(self._url.removeprefix("unix:"), self._timeout_s)
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)

    def _reply(self, status: int, text: bytes) -> Reply:
        try:
            if status == 200:
                return _read(json.loads(text))
            said, code = _error(text)
        except _MALFORMED:
            raise Trouble(f"{self._url} answers {status} with what is no chat completion", _CURE) from None
        if code == "invalid_call":
            return Reply(rejected=said)
        if status == 504:
            raise Late(f"no answer within the server's time: {said}")
        if status in _FOR_ALL:
            cure = f"show a key: {KEY}" if status in (401, 403) else ""
            raise Trouble(f"{self._url} refuses: {status}: {said}", cure)
        return Reply(error=f"{status}: {said}")


def _address(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Trouble(f"{url} is no http://, https:// or unix: address", _CURE)
    return parts


def _call(call: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(call["arguments"], ensure_ascii=False)
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


# What reading an answer raises that is not of this form.
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def _error(text: bytes) -> tuple[str, Any]:
    error = json.loads(text)["error"]
    return (error.get("message", ""), error.get("code")) if isinstance(error, dict) else (str(error), None)


def _read(answer: dict[str, Any]) -> Reply:
    message, usage = answer["choices"][0]["message"], answer.get("usage") or {}
    content = message.get("content") or ""
    if not isinstance(content, str):
        raise TypeError("the content is no string")
    return Reply(
        calls=[
            call_of(call["function"]["name"], call["function"].get("arguments", "{}"))
            for call in message.get("tool_calls") or []
        ],
        content=content,
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
    )


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
