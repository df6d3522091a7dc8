"""A client of Callspan's servers: lines of JSON over a Unix socket, with nothing but the standard library.

A request is a frame, `{"id": 1, "generate": {…}}`; the frames of its answer carry its id. The last of them is the one
that is no `delta`. What may stand in a frame: `ipc call SOCKET describe`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The most that the protocol carries in a line.
MOST_BYTES = 0xFFFFFF


class ServerError(Exception):
    """The server's own word on why a request failed, with what to do about it."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.code, self.hint = error.get("code", "UNKNOWN"), error.get("hint", "")
        super().__init__(f"{self.code}: {error.get('message', '')}" + (f" ({self.hint})" if self.hint else ""))


def default_socket() -> Path:
    """Where rust-inference listens if it is told nothing else."""
    if given := os.environ.get("CALLSPAN_INFERENCE_SOCKET"):
        return Path(given)
    if directory := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(directory) / "callspan" / "inference.sock"
    raise ConnectionError("neither CALLSPAN_INFERENCE_SOCKET nor XDG_RUNTIME_DIR says where the server is")


class Client:
    """A connection. It has one request at a time; who wants more at once opens more of them."""

    def __init__(self, path: Path | str, timeout_s: float = 120) -> None:
        """Connect; no wait and no request may take longer than the time."""
        self._timeout_s, self._number = timeout_s, -1
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ConnectionError(f"{path}: {error}; start it: rust-inference --socket {path}") from None
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, **body: Any) -> Iterator[dict[str, Any]]:
        """Send a request, such as `ask(generate={…})`; gives the frames of its answer as they come.

        Who leaves before the last one cancels the request.
        """
        self._number += 2
        number = self._number
        self._send({"id": number, **body, "meta": {"timeout_ms": int(self._timeout_s * 1000)}})
        try:
            while True:
                frame = self._receive()
                # 0 is the connection's own: an error there ends it. Others are of a request that was left.
                of_ours = frame.get("id", 0) == number
                if "error" in frame and (of_ours or frame.get("id", 0) == 0):
                    raise ServerError(frame["error"])
                if of_ours:
                    yield frame
                    if "delta" not in frame:
                        return
        except GeneratorExit:
            self.cancel()
            raise

    def last(self, **body: Any) -> dict[str, Any]:
        """Send a request; gives the last frame of its answer."""
        *_, frame = self.ask(**body)
        return frame

    def cancel(self) -> None:
        """Have the server stop at the request under way, which ends with the ServerError CANCELLED."""
        self._send({"id": self._number, "cancel": {}})

    def _send(self, frame: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(frame).encode() + b"\n")

    def _receive(self) -> dict[str, Any]:
        line = self._lines.readline(MOST_BYTES + 1)
        if not line.endswith(b"\n"):
            raise ConnectionError("the server's line is too long" if len(line) > MOST_BYTES else "the server is gone")
        try:
            return json.loads(line)
        except ValueError as error:
            raise ConnectionError(f"the server sent what is no frame: {error}") from None
