"""Many requests on one connection, several connections at once, and a reader who does not read."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

from harness import Server, Wire, readable

PIECES = """
from callspan import tool

@tool
def double(value: int) -> int:
    \"\"\"Double a number.

    Args:
        value: The number.
    \"\"\"
    return 2 * value
"""


def numbered_chat(number: int) -> dict[str, object]:
    return {
        "chat": {"messages": [{"role": "user", "content": f"Tell me about the number {number}."}]},
        "max_tokens": 8 + number % 5,
        "stream": number % 2 == 1,
    }


def ask_fifty(path: Path, answers: dict[int, dict[str, object]], **body: object) -> None:
    """Fifty requests, all sent before any answer is read."""
    with Wire(path) as wire:
        for number in range(1, 101, 2):
            wire.send(id=number, **{key: make(number) for key, make in body.items()})
        for number in range(1, 101, 2):
            answers[number] = wire.finish(number)


def two_clients(path: Path, **body: object) -> list[dict[int, dict[str, object]]]:
    both: list[dict[int, dict[str, object]]] = [{}, {}]
    threads = [threading.Thread(target=ask_fifty, args=(path, answers), kwargs=body) for answers in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return both


def test_two_clients_multiplex_fifty_generations(start) -> None:
    server: Server = start("rust-inference", "--queue", "128")
    first, second = two_clients(server.socket, generate=numbered_chat)
    assert len(first) == len(second) == 50
    for number, answer in first.items():
        assert "done" in answer, answer
        # Greedy: the same question has the same answer, whoever asks and whatever else is in the queue.
        assert answer["done"].get("content") == second[number]["done"].get("content")
        assert answer["done"]["usage"]["completion_tokens"] <= 8 + number % 5


def test_two_clients_multiplex_fifty_tool_calls(start, room) -> None:
    tools = room / "tools"
    tools.mkdir()
    (tools / "pieces.py").write_text(PIECES)
    server: Server = start("python-executor", "--tools", tools)
    both = two_clients(server.socket, call_tool=lambda number: {"name": "double", "arguments": {"value": number}})
    for answers in both:
        assert len(answers) == 50
        for number, answer in answers.items():
            result = answer["tool_result"]
            assert (result["outcome"], json.loads(result["result"])) == ("ok", 2 * number)


def test_a_slow_reader_stalls_no_one_else(inference: Server) -> None:
    with socket.socket(socket.AF_UNIX) as slow, Wire(inference.socket) as other:
        # The smallest buffers, and more answers than they hold, none of which is read.
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.connect(str(inference.socket))
        slow.settimeout(5)
        sent = 0
        try:
            for number in range(1, 20_001):
                slow.sendall(json.dumps({"id": number, "describe": {}}).encode() + b"\n")
                sent += 1
        except TimeoutError:
            pass  # the server has stopped reading from who does not read: that is its bound
        assert readable(slow, 5)

        before = resident_kib(inference.process.pid)
        for number in range(1, 12, 2):
            assert "done" in other.ask(number, generate=numbered_chat(number))
        assert resident_kib(inference.process.pid) - before < 64 * 1024
    assert inference.alive()


def test_a_reader_who_pauses_gets_the_whole_text(inference: Server) -> None:
    request = {"chat": {"messages": [{"role": "user", "content": "Hello, who are you?"}]}, "max_tokens": 64}
    with Wire(inference.socket) as prompt_reader:
        whole = prompt_reader.ask(1, generate=request)["done"]["content"]
    with Wire(inference.socket) as late_reader, Wire(inference.socket) as other:
        late_reader.send(id=1, generate=request | {"stream": True})
        # By the time that another's later request is done, this one's text has long been made.
        other.ask(1, generate=request)
        end = late_reader.finish(1)
        pieces = [frame["delta"].get("text", "") for frame in late_reader.kept[1] if "delta" in frame]
    assert whole
    assert end["done"]["content"] == whole
    assert "".join(pieces) == whole


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} tells no memory")
