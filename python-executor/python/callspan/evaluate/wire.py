"""A server of ours, over its Unix socket: JSON lines of the protocol (`ipc/proto/callspan/v1/callspan.proto`).

Unconstrained, the model is given its prompt as text and no tools: then it writes what it likes, and `rust-inference
parse` reads the calls out of that, without their schemas, so that what breaks them is counted and not hidden.
"""

import json
import math
import socket
import time
from pathlib import Path
from typing import Any

from callspan.evaluate.cases import Case
from callspan.evaluate.errors import Trouble
from callspan.evaluate.format import Format
from callspan.evaluate.judge import Reply
from callspan.evaluate.servers import LONGEST, Late, messages

# Codes of refusals that another case would get as well.
_FOR_ALL = {"NOT_FOUND", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "UNAVAILABLE", "UNIMPLEMENTED"}
# How much longer than the server, in seconds, we wait for it to say that it is late.
_SLACK_S = 1.0


class Socket:
    """One connection, made anew when an answer was too late."""

    def __init__(
        self, path: Path, *, timeout_s: float, max_tokens: int, model: str = "", form: Format | None = None
    ) -> None:
        """Connect; with `form` what the model writes is not constrained, and read by it."""
        self.what = f"{path}, {'un' * (form is not None)}constrained"
        self._path, self._timeout_s, self._form = path, timeout_s, form
        self._options: dict[str, Any] = {"max_tokens": max_tokens} | ({"model": model} if model else {})
        self._number = -1
        self._connect()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        if self._form:
            self._form.close()

    def ask(self, case: Case) -> Reply:
        """Ask one case."""
        if self._form:
            body: dict[str, Any] = {"prompt": self._form.prompt(case)}
        else:
            # Lenient: what of a schema cannot be guaranteed is checked behind, rather than the case refused.
            body = {"chat": {"messages": messages(case, dict)}, "tools": case.tools, "lenient": True}
        started = time.perf_counter()
        answer = self._answer(body | self._options)
        took = time.perf_counter() - started
        reply = self._reply(case, answer)
        reply.latency_s = took
        return reply

    def _reply(self, case: Case, answer: dict[str, Any]) -> Reply:
        if error := answer.get("error"):
            return _refused(self._path, error)
        done = answer.get("done")
        if not isinstance(done, dict):
            raise Trouble(f"{self._path} answered {', '.join(answer)} where `done` was due", _CURE)
        usage = done.get("usage", {})
        reply = Reply(
            content=done.get("content", ""),
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            completion_tokens=int(usage.get("completion_tokens", 0)),
            warnings=done.get("warnings", []),
        )
        if self._form:
            reply.content, reply.calls, reply.rejected = self._form.read(case, reply.content)
        elif done.get("finish_reason") == "invalid_call":
            reply.rejected = done.get("error", {}).get("message", "a call was not valid")
        else:
            reply.calls = [call_of(call["name"], call.get("arguments", "{}")) for call in done.get("tool_calls", [])]
        return reply

    def _connect(self) -> None:
        self._socket, self._rest = socket.socket(socket.AF_UNIX), b""
        self._socket.settimeout(self._timeout_s)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            raise Trouble(f"{self._path} takes no connection: {error.strerror or error}", _CURE) from None

    def _answer(self, generate: dict[str, Any]) -> dict[str, Any]:
        self._number += 2
        # Rounded up: 0 would be no limit.
        meta = {"timeout_ms": math.ceil(self._timeout_s * 1000)}
        line = json.dumps({"id": self._number, "generate": generate, "meta": meta}).encode() + b"\n"
        deadline = time.monotonic() + self._timeout_s + _SLACK_S
        try:
            self._socket.settimeout(self._timeout_s + _SLACK_S)
            self._socket.sendall(line)
            while True:
                frame = json.loads(self._line(deadline))
                if frame.get("id") == self._number and "delta" not in frame:
                    break
            late = frame.get("error", {}).get("code") == "DEADLINE_EXCEEDED"
        except TimeoutError:
            # Whatever it still says belongs to a request that is over.
            self._socket.close()
            self._connect()
            raise Late(f"no answer within {self._timeout_s:g} s") from None
        except (OSError, EOFError) as error:
            raise Trouble(f"{self._path} hung up: {error}", _CURE) from None
        except (ValueError, AttributeError):
            raise Trouble(f"{self._path} speaks no JSON lines", _CURE) from None
        if late:
            raise Late(f"no answer within {self._timeout_s:g} s")
        return frame

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            piece = self._socket.recv(1 << 16)
            if not piece:
                raise EOFError("the connection was closed")
            self._rest += piece
            if len(self._rest) > LONGEST:
                raise EOFError(f"an answer of more than {LONGEST} bytes")
        line, self._rest = self._rest.split(b"\n", 1)
        return line


_CURE = "start a server there: rust-inference --socket PATH"


def call_of(name: str, arguments: str | dict[str, Any]) -> dict[str, Any]:
    """A call with its arguments read; what is no JSON stays text."""
    if isinstance(arguments, str):
        try:
            return {"name": name, "arguments": json.loads(arguments or "{}", parse_constant=_no_json)}
        except (ValueError, RecursionError):
            pass
    return {"name": name, "arguments": arguments}


def _no_json(text: str) -> None:
    """Refuse NaN and Infinity, which Python alone takes for JSON."""
    raise ValueError(text)


def _refused(path: Path, error: dict[str, Any]) -> Reply:
    code, message = error.get("code", "UNKNOWN"), error.get("message", "")
    if code in _FOR_ALL:
        raise Trouble(f"{path} refuses: {code}: {message}", error.get("hint", ""))
    return Reply(error=f"{code}: {message}")
