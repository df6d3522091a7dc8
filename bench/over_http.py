#!/usr/bin/env python3
"""What HTTP costs over the protocol: the same server, the same requests, over the protocol's Unix socket in lines of
JSON, over HTTP on a Unix socket and over HTTP on TCP, in turns, medians.

The client is bytes and sockets only: what a library would cost is not what is asked. The model is the one that is built
in, whose tokens cost so little that what surrounds them shows. usage: bench/over_http.py [--quick]
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from report import into_readme
from served import Server, build, machine

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}
# Numbers without end: an answer as long as it is let, of tokens that the model chooses.
SCHEMA = {
    "type": "object",
    "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 30}},
    "required": ["numbers"],
}
STREAM_TOKENS, CROWD, CROWD_TOKENS = 500, 100, 64
ANSWERS_WITHIN_S = 60


@dataclass
class Streamed:
    """A stream while it comes and when it has come."""

    received: bytearray = field(default_factory=bytearray)
    first: float = 0.0
    end: float = 0.0

    def tokens(self) -> int:
        # Numbers of 64 bits are strings in the protocol's JSON.
        found = re.findall(rb'"completion_tokens":(\d+)', self.received)
        if not found:
            raise SystemExit(f"a stream ended without its usage: {bytes(self.received[-2000:])!r}")
        return int(found[-1])

    def a_token(self) -> float:
        return (self.end - self.first) / (self.tokens() - 1)


class Door:
    """One way to the server: how requests are written in it, and how the end of an answer is known."""

    name: str
    # What the first piece of an answer's text has in it, and what every piece has.
    first: re.Pattern[bytes]
    piece: bytes

    def connect(self) -> socket.socket:
        raise NotImplementedError

    def models(self) -> bytes:
        raise NotImplementedError

    def chat(self, tokens: int, *, stream: bool) -> bytes:
        raise NotImplementedError

    def is_whole(self, received: bytearray) -> bool:
        raise NotImplementedError

    def is_over(self, received: bytearray) -> bool:
        """The same of a stream."""
        raise NotImplementedError

    def ask(self, connection: socket.socket, request: bytes) -> tuple[bytes, float]:
        """An answer and the seconds to its end."""
        received = bytearray()
        started = time.perf_counter()
        connection.sendall(request)
        while not self.is_whole(received):
            received += receive(connection)
        return bytes(received), time.perf_counter() - started

    def stream(self, connection: socket.socket, request: bytes) -> tuple[Streamed, float]:
        """A stream and when it was asked for."""
        streamed = Streamed()
        started = time.perf_counter()
        connection.sendall(request)
        while not streamed.end:
            self.take(connection, streamed)
        return streamed, started

    def take(self, connection: socket.socket, streamed: Streamed) -> None:
        streamed.received += receive(connection)
        now = time.perf_counter()
        if not streamed.first and self.first.search(streamed.received):
            streamed.first = now
        if self.is_over(streamed.received):
            streamed.end = now


def receive(connection: socket.socket) -> bytes:
    piece = connection.recv(1 << 18)
    if not piece:
        raise SystemExit("the server closed the connection")
    return piece


class Protocol(Door):
    name = "protocol, Unix"
    first = re.compile(rb'"delta":')
    piece = b'"delta":'

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> socket.socket:
        return connected(socket.AF_UNIX, str(self.path))

    def models(self) -> bytes:
        return b'{"id":1,"models":{}}\n'

    def chat(self, tokens: int, *, stream: bool) -> bytes:
        generate: dict[str, Any] = {"chat": CHAT, "max_tokens": tokens}
        if stream:
            form = {"type": "json_schema", "schema": json.dumps(SCHEMA)}
            generate |= {"stream": True, "response_format": form}
        return json.dumps({"id": 1, "generate": generate}).encode() + b"\n"

    def is_whole(self, received: bytearray) -> bool:
        return received.endswith(b"\n")

    def is_over(self, received: bytearray) -> bool:
        return received.endswith(b"\n") and b'"delta":' not in received[received.rfind(b"\n", 0, -1) + 1 :]


class Http(Door):
    first = re.compile(rb'"content":"[^"]')
    piece = b'"content":"'

    def __init__(self, name: str, family: socket.AddressFamily, address: Any, model: str) -> None:
        self.name, self.family, self.address, self.model = name, family, address, model

    def connect(self) -> socket.socket:
        return connected(self.family, self.address)

    def models(self) -> bytes:
        return b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def chat(self, tokens: int, *, stream: bool) -> bytes:
        asked: dict[str, Any] = {"model": self.model, **CHAT, "max_tokens": tokens}
        if stream:
            form = {"type": "json_schema", "json_schema": {"name": "numbers", "strict": True, "schema": SCHEMA}}
            asked |= {"stream": True, "stream_options": {"include_usage": True}, "response_format": form}
        body = json.dumps(asked).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def is_whole(self, received: bytearray) -> bool:
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return False
        length = re.search(rb"(?i)content-length: (\d+)", received[:head])
        if not (received.startswith(b"HTTP/1.1 200") and length):
            raise SystemExit(f"HTTP answered {bytes(received)!r}")
        return len(received) == head + 4 + int(length[1])

    def is_over(self, received: bytearray) -> bool:
        if not b"HTTP/1.1 200".startswith(received[:12]):
            raise SystemExit(f"HTTP answered {bytes(received)!r}")
        return received.endswith(b"\r\n0\r\n\r\n")


def connected(family: socket.AddressFamily, address: Any) -> socket.socket:
    connection = socket.socket(family)
    connection.settimeout(ANSWERS_WITHIN_S)
    connection.connect(address)
    return connection


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Measured:
    """What was measured of one door: by row, a figure of each turn."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, row: str, figure: float) -> None:
        self.figures.setdefault(row, []).append(figure)

    def of(self, row: str) -> float:
        return median(self.figures[row])


def in_turns(doors: list[Door], turns: int) -> list[tuple[int, Door]]:
    """Every door in every turn, and none always behind the same other."""
    return [(turn, doors[(turn + place) % len(doors)]) for turn in range(turns) for place in range(len(doors))]


def single(doors: list[Door], measured: dict[str, Measured], requests: int, streams: int) -> None:
    connections = {door.name: door.connect() for door in doors}
    texts = set()
    for turn, door in in_turns(doors, requests):
        for row, request in (("models", door.models()), ("answer", door.chat(1, stream=False))):
            answer, seconds = door.ask(connections[door.name], request)
            if turn >= requests // 10:
                measured[door.name].add(row, seconds * 1e6)
            if row == "answer":
                texts.update(re.findall(rb'"content":"([^"]*)"', answer))
    if len(texts) != 1:
        raise SystemExit(f"the doors' answers differ: {texts}")
    for _, door in in_turns(doors, streams):
        streamed, started = door.stream(connections[door.name], door.chat(STREAM_TOKENS, stream=True))
        of = measured[door.name]
        of.add("stream first", (streamed.first - started) * 1e6)
        of.add("stream token", streamed.a_token() * 1e6)
        of.add("stream pieces", streamed.received.count(door.piece))
        of.add("stream bytes", len(streamed.received) / streamed.tokens())
    for connection in connections.values():
        connection.close()


def crowd(door: Door, measured: Measured) -> None:
    """Many streams at once, each on a connection of its own."""
    waiting = selectors.DefaultSelector()
    streams = [Streamed() for _ in range(CROWD)]
    for streamed in streams:
        waiting.register(door.connect(), selectors.EVENT_READ, streamed)
    request = door.chat(CROWD_TOKENS, stream=True)
    connections = [key.fileobj for key in waiting.get_map().values()]
    started = time.perf_counter()
    for connection in connections:
        connection.sendall(request)
    while waiting.get_map():
        for key, _ in waiting.select(ANSWERS_WITHIN_S):
            door.take(key.fileobj, key.data)
            if key.data.end:
                waiting.unregister(key.fileobj)
                key.fileobj.close()
    firsts = quantiles([(streamed.first - started) * 1e3 for streamed in streams], n=100)
    seconds = max(streamed.end for streamed in streams) - started
    measured.add("crowd tokens", sum(streamed.tokens() for streamed in streams) / seconds)
    measured.add("crowd p50", firsts[49])
    measured.add("crowd p99", firsts[98])


ROWS = {
    "models": "the list of models, no work for the model, µs",
    "answer": "an answer of one token, µs",
    "stream first": f"a stream of {STREAM_TOKENS} tokens: to its first piece, µs",
    "stream token": "then a token, µs",
    "stream pieces": "pieces",
    "stream bytes": "bytes a token",
    "crowd tokens": f"{CROWD} streams of {CROWD_TOKENS} tokens at once: tokens a second, all together",
    "crowd p50": "to the first piece, p50, ms",
    "crowd p99": "to the first piece, p99, ms",
}


def table(doors: list[Door], measured: dict[str, Measured]) -> str:
    lines = ["| | " + " | ".join(door.name for door in doors) + " |", "|---" * (len(doors) + 1) + "|"]
    for row, label in ROWS.items():
        figures = (measured[door.name].of(row) for door in doors)
        lines.append(
            f"| {label} | " + " | ".join(f"{figure:,.{0 if figure >= 100 else 1}f}" for figure in figures) + " |"
        )
    return "\n".join(lines)


def main() -> int:
    quick = "--quick" in sys.argv[1:]
    requests, streams, crowds = (200, 5, 2) if quick else (2000, 60, 10)
    with tempfile.TemporaryDirectory(dir="/tmp") as room:
        path, port = Path(room) / "http", free_port()
        flags = ("--http", f"127.0.0.1:{port}", "--http-socket", path, "--parallel", str(CROWD))
        with Server(build("dev"), *flags) as server:
            model = server.done({"chat": CHAT, "max_tokens": 1})[0]["model"]
            doors: list[Door] = [
                Protocol(server.path),
                Http("HTTP, Unix", socket.AF_UNIX, str(path), model),
                Http("HTTP, TCP", socket.AF_INET, ("127.0.0.1", port), model),
            ]
            head = f"{machine()}; medians of {requests} requests, {streams} streams and {crowds} crowds in turns"
            measured = {door.name: Measured() for door in doors}
            single(doors, measured, requests, streams)
            for _, door in in_turns(doors, crowds):
                crowd(door, measured[door.name])
    text = f"{head}\n\n{table(doors, measured)}"
    print(text)
    if not quick:
        into_readme("http", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
