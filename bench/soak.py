#!/usr/bin/env python3
"""Many clients at once for long: they come, go, cancel, hang up, call tools and talk, and get what each gets alone.

A catalogue of requests is answered one by one first. Then clients ask for its entries in a random order over
connections that they open and close, streaming or not, some of them leaving in the middle. Every answer has to be the
one that was given alone; nobody may wait in vain; and when all have left the server has to be as it was: no request, no
KV, no connection and no thread left, no memory more than after its first minutes. usage: bench/soak.py [--minutes N] …
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from served import Server, build, machine

# How long an answer may take before it counts as lost.
PATIENCE = 120
# Small, so that it is full long before the first measurement of memory, and beginnings come and go.
FLAGS = ("--prefix-cache-mib", "16", "--queue", "20", "--parallel", "16", "--max-tokens", "256")
# Memory may grow by so much between the first fifth and the end: the allocator's own.
GROWTH = (1.10, 16 << 20)


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "parameters": parameters}


TEXT, NUMBER = {"type": "string", "maxLength": 40}, {"type": "number"}
UNITS = tool("convert_units", "Convert a value from one unit to another.", value=NUMBER, from_unit=TEXT, to_unit=TEXT)
ALARM = tool("set_alarm", "Set an alarm.", hour={"type": "integer", "minimum": 0, "maximum": 23}, label=TEXT)
MAIL = tool("send_mail", "Send a mail.", to=TEXT, urgent={"type": "boolean"}, kind={"enum": ["note", "letter"]})
TOOL_SETS = ([UNITS], [ALARM, UNITS], [MAIL, ALARM, UNITS])
QUESTIONS = (
    "How many miles is 12 km?",
    "Wake me at seven for the garden party",
    "Write to Anna that we are late",
    "How many feet are 3 yards?",
    "Hello, who are you?",
)


def catalogue(dice: random.Random) -> list[dict[str, Any]]:
    """What is asked. Whoever draws has a seed: each answer is one that can be had again."""
    asked: list[dict[str, Any]] = []
    for question in QUESTIONS:
        for tools in TOOL_SETS:
            asked.append({"chat": {"messages": [{"role": "user", "content": question}]}, "tools": tools})
        call = {"id": "1", "name": "convert_units", "arguments": '{"value":12,"from_unit":"km","to_unit":"mi"}'}
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "name": "convert_units", "tool_call_id": "1", "content": '{"result":7.46}'},
        ]
        asked.append({"chat": {"messages": messages}, "tools": [UNITS]})
        asked.append({"prompt": f"<bos>{question} " * dice.randint(1, 60), "max_tokens": 20})
        schema = {"type": "object", "properties": {"answer": TEXT, "sure": {"type": "boolean"}}, "required": ["answer"]}
        form = {"type": "json_schema", "schema": schema}
        asked.append({"chat": {"messages": [{"role": "user", "content": question}]}, "response_format": form})
    for number, generate in enumerate(asked):
        generate.setdefault("max_tokens", dice.choice((8, 40, 120)))
        if generate.get("tools") and number % 2:
            generate["tool_choice"] = dice.choice(("required", "auto", "none"))
        if number % 3:
            sampling = {"temperature": dice.choice((0.5, 1.0, 2.0)), "top_k": dice.choice((0, 40)), "seed": number}
            generate["sampling"] = sampling
        if number % 4 == 0:
            generate["logprobs"] = 2
        levers = ("forced", "rows", "speculation", "prefix")
        generate["without"] = [lever for lever in levers if dice.random() < 0.15]
    return asked


def essence(done: dict[str, Any]) -> dict[str, Any]:
    """What of an answer is the same whenever it is asked for."""
    told = {name: done.get(name) for name in ("content", "tool_calls", "finish_reason", "logprobs")}
    told["tool_calls"] = [{**call, "id": None} for call in told["tool_calls"] or []]
    usage = done.get("usage", {})
    counts = ("prompt_tokens", "completion_tokens", "forced_tokens", "constrained_tokens", "free_tokens")
    return told | {name: usage.get(name) for name in counts}


@dataclass
class Tally:
    """What happened, and what should not have."""

    happened: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.happened[what] += 1

    def complain(self, what: str) -> None:
        with self.lock:
            self.happened["wrong"] += 1
            self.wrong.append(what)


class Client:
    """One of the many: asks until the time is over."""

    def __init__(self, path: str, asked: list[dict[str, Any]], alone: list[dict[str, Any]], tally: Tally, seed: int):
        self.path, self.asked, self.alone, self.tally = path, asked, alone, tally
        self.dice = random.Random(seed)
        # Requests of the connection that were cancelled, perhaps too late.
        self.cancelled: set[int] = set()

    def run(self, until: float) -> None:
        try:
            while time.monotonic() < until:
                self.visit()
                time.sleep(self.dice.random() * 0.2)
        except Exception as error:  # whatever it is, the run has failed
            self.tally.complain(f"a client met {error!r}")

    def visit(self) -> None:
        """A connection: some requests, one by one or at once."""
        with socket.socket(socket.AF_UNIX) as connection:
            self.cancelled.clear()
            connection.settimeout(PATIENCE)
            connection.connect(self.path)
            lines = connection.makefile("rb")
            for turn in range(self.dice.randint(1, 4)):
                numbers = {
                    2 * (8 * turn + i) + 1: self.dice.randrange(len(self.asked))
                    for i in range(self.dice.choice((1, 1, 1, 2, 3)))
                }
                if not self.ask(connection, lines, numbers):
                    return

    def ask(self, connection: socket.socket, lines: Any, numbers: dict[int, int]) -> bool:
        """Asks for these entries, under these numbers; false if the connection is not to be used again."""
        streams = self.dice.random() < 0.5
        for number, entry in numbers.items():
            frame: dict[str, Any] = {"id": number, "generate": {**self.asked[entry], "stream": streams}}
            if self.dice.random() < 0.05:
                frame["meta"] = {"timeout_ms": self.dice.randint(1, 300)}
            connection.sendall(json.dumps(frame).encode() + b"\n")
        way = self.dice.choices(("stay", "cancel", "hang up"), (70, 18, 12))[0]
        if way == "hang up":
            time.sleep(self.dice.random() * 0.3)
            self.tally.count("hung up")
            return False
        if way == "cancel":
            time.sleep(self.dice.random() * 0.3)
            cancelled = self.dice.choice(list(numbers))
            self.cancelled.add(cancelled)
            connection.sendall(json.dumps({"id": cancelled, "cancel": {}}).encode() + b"\n")
        texts = dict.fromkeys(numbers, "")
        left = dict(numbers)
        while left:
            line = lines.readline()
            if not line:
                self.tally.complain(f"the connection was closed with {len(left)} requests unanswered")
                return False
            frame = json.loads(line)
            number = int(frame.get("id", 0))
            if "delta" in frame:
                texts[number] += frame["delta"].get("text", "")
            elif number in left:
                self.check(frame, left.pop(number), texts[number] if streams else None)
            elif number not in self.cancelled or frame.get("error", {}).get("code") != "NOT_FOUND":
                self.tally.complain(f"an answer to nobody: {line[:200]!r}")
        return True

    def check(self, frame: dict[str, Any], entry: int, streamed: str | None) -> None:
        done = frame.get("done")
        if done is None:
            code = frame.get("error", {}).get("code", "none")
            expected = ("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
            if code not in expected or (code == expected[2] and not frame["error"].get("retry_after_ms")):
                self.tally.complain(f"entry {entry}: {json.dumps(frame)[:400]}")
            else:
                self.tally.count(code)
                if code == expected[2]:
                    time.sleep(min(frame["error"]["retry_after_ms"], 1000) / 1000)
            return
        if essence(done) != self.alone[entry]:
            alone, now = json.dumps(self.alone[entry]), json.dumps(essence(done))
            self.tally.complain(f"entry {entry}, alone {alone[:400]}, now {now[:400]}")
        elif streamed is not None and streamed != done.get("content", ""):
            self.tally.complain(f"entry {entry}: streamed {streamed!r}, then {done.get('content')!r}")
        else:
            self.tally.count("answered")


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    rss: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        values = dict(line.split(":", 1) for line in status.splitlines())
        return cls(
            int(values["VmRSS"].split()[0]) * 1024, int(values["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir()))
        )


def health(server: Server) -> dict[str, str]:
    server.connection.sendall(b'{"id":1000001,"health":{}}\n')
    while True:
        frame = json.loads(server.lines.readline())
        if "health_report" in frame:
            return frame["health_report"]["details"]


def soak(server: Server, seconds: float, clients: int, seed: int, tally: Tally) -> list[Footprint]:
    """What the server held, every few seconds; the last two when all had left, at the begin and now."""
    asked = catalogue(random.Random(seed))
    for generate in asked:
        for one in generate.get("tools", ()):
            one["parameters"] = (
                one["parameters"] if isinstance(one["parameters"], str) else json.dumps(one["parameters"])
            )
        form = generate.get("response_format")
        if form and not isinstance(form["schema"], str):
            form["schema"] = json.dumps(form["schema"])
    alone = [essence(server.done(generate)[0]) for generate in asked]
    before = Footprint.of(server.process.pid)
    path = str(Path(server.room.name) / "s")
    until = time.monotonic() + seconds
    crowd = [
        threading.Thread(target=Client(path, asked, alone, tally, seed * 1000 + number).run, args=(until,))
        for number in range(clients)
    ]
    for thread in crowd:
        thread.start()
    held = []
    while time.monotonic() < until:
        time.sleep(min(5, max(0.1, seconds / 60)))
        held.append(Footprint.of(server.process.pid))
        if server.process.poll() is not None:
            tally.complain(f"the server ended with {server.process.returncode}")
            break
    for thread in crowd:
        thread.join(PATIENCE)
        if thread.is_alive():
            tally.complain("a client still waits: a request was lost")
    return [*held, before, Footprint.of(server.process.pid)]


def judge(server: Server, held: list[Footprint], tally: Tally) -> tuple[int, int]:
    """Memory after the warm-up and at the end."""
    deadline = time.monotonic() + 10
    left = {}
    while time.monotonic() < deadline:
        details = health(server)
        left = {name: details[name] for name in ("running", "waiting", "kv_cache_bytes") if details[name] != "0"}
        before, after = held[-2], Footprint.of(server.process.pid)
        if not left and after.descriptors <= before.descriptors and after.threads <= before.threads + 2:
            break
        time.sleep(0.1)
    else:
        tally.complain(f"left behind: {left}; before {before}, after {after}")
    during = [footprint.rss for footprint in held[:-2]]
    fifth = max(1, len(during) // 5)
    warm, end = int(median(during[fifth : 2 * fifth] or during)), int(median(during[-fifth:]))
    factor, more = GROWTH
    if end > warm * factor + more:
        tally.complain(f"memory grew from {warm >> 20} to {end >> 20} MiB")
    for line in tally.wrong[:5]:
        print(f"wrong: {line}", file=sys.stderr)
    return warm, end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a model's directory instead of the one that is built in")
    parser.add_argument("--program", type=Path, help="a rust-inference instead of one that is built first")
    arguments = parser.parse_args()
    program = arguments.program or build("dev")
    flags = (*FLAGS, "--model", str(arguments.model)) if arguments.model else FLAGS
    tally = Tally()
    with Server(program, *flags) as server:
        held = soak(server, 60 * arguments.minutes, arguments.clients, arguments.seed, tally)
        warm, end = judge(server, held, tally)
    print(f"{arguments.clients} clients for {arguments.minutes:g} minutes; {machine()}")
    print(", ".join(f"{count} {what}" for what, count in sorted(tally.happened.items())))
    print(f"memory: {warm / 2**20:.0f} MiB after the warm-up, {end / 2**20:.0f} MiB at the end")
    if tally.wrong or not tally.happened["answered"]:
        print("failed")
        return 1
    print("every answer as if it had been asked for alone; nothing lost, nothing left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
