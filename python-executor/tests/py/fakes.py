"""Servers that say what a test wants: one that speaks the protocol, and one that speaks HTTP."""

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Gives the answer to a request as bytes; None: nothing, for ever; b"": it hangs up.
Answer = Callable[[dict[str, Any]], bytes | None]


@contextlib.contextmanager
def protocol(path: Path, answer: Answer) -> Iterator[list[dict[str, Any]]]:
    """A Unix socket with JSON lines; gives the list of the frames that came."""
    came: list[dict[str, Any]] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    def converse(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                came.append(json.loads(line))
                said = answer(came[-1])
                if said == b"":
                    # Not only ours: the file holds the socket open.
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                connection.sendall(said or b"")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def frame(asked: dict[str, Any], **body: Any) -> bytes:
    """An answer to a frame."""
    return json.dumps({"id": asked["id"], **body}).encode() + b"\n"


def done(asked: dict[str, Any], **fields: Any) -> bytes:
    """The end of an answer."""
    return frame(asked, done=fields)


@contextlib.contextmanager
def openai(answer: Callable[[dict[str, Any], Any], tuple[Any, ...]]) -> Iterator[str]:
    """Chat completions on a port of this machine, a status, a body and perhaps headers; gives the URL up to /v1."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, said, *headers = answer(body, self)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def completion(**message: Any) -> tuple[int, bytes]:
    """A whole answer of chat completions."""
    return 200, json.dumps({"choices": [{"message": message}], "usage": {"prompt_tokens": 3}}).encode()
