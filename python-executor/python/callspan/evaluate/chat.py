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
_FOR_ALL = {401, 402, 403, 404, 405, 429, 501, 502, 503}
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
        started = time.perf_counter()
        status, text = self._post(json.dumps(body).encode())
        took = time.perf_counter() - started
        reply = self._reply(status, text)
        reply.latency_s = took
        return reply

    def _post(self, body: bytes) -> tuple[int, bytes]:
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
        return answer.status, text

    def _connection(self) -> http.client.HTTPConnection:
        if self._parts is None:
            return _Unix(self._url.removeprefix("unix:"), self._timeout_s)
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)

    def _reply(self, status: int, text: bytes) -> Reply:
        try:
            answer = json.loads(text)
            if status == 200:
                return _read(answer)
            error = answer["error"]
            said, code = (
                (error.get("message", ""), error.get("code")) if isinstance(error, dict) else (str(error), None)
            )
        except (ValueError, LookupError, TypeError, AttributeError):
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
