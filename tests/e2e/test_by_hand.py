"""What a person types: lines of JSON through plain socat, with its half-close, and our own `ipc`."""

from __future__ import annotations

import json
import subprocess

from harness import BIN, PATIENCE_S, Server, Wire, accepts, run, until


def socat(server: Server, typed: str) -> list[dict[str, object]]:
    """`printf TYPED | socat -t 600 - UNIX:SOCKET`: socat closes its writing half at the end of what was typed."""
    ran = subprocess.run(
        ["socat", "-t", "600", "-", f"UNIX:{server.socket}"],
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_health_through_socat(inference: Server, executor: Server) -> None:
    for server in (inference, executor):
        (answer,) = socat(server, '{"id":1,"health":{}}\n')
        assert answer["id"] == 1
        assert answer["health_report"]["status"] == "SERVING"
        assert answer["health_report"]["pid"] == server.process.pid


def test_a_half_closed_connection_still_gets_its_answers(inference: Server) -> None:
    question = {"chat": {"messages": [{"role": "user", "content": "Hello!"}]}, "max_tokens": 32, "stream": True}
    answers = socat(inference, json.dumps({"id": 3, "generate": question}) + "\n")
    assert all(answer["id"] == 3 for answer in answers)
    assert "done" in answers[-1]
    assert len(answers) > 1, "a streamed answer has at least one delta"


def test_a_tool_called_with_arguments_in_place(executor: Server) -> None:
    with Wire(executor.socket) as wire:
        names = [tool["name"] for tool in wire.ask(1, list_tools={})["tools"]["tools"]]
    assert names
    (answer,) = socat(executor, '{"id":5,"call_tool":{"name":"no_such_tool","arguments":{}}}\n')
    assert answer["id"] == 5
    assert answer["error"]["code"] == "NOT_FOUND"
    assert "no_such_tool" in answer["error"]["message"]


def test_bad_lines_are_answered_and_the_connection_lives(inference: Server) -> None:
    answers = socat(inference, '{"id":1,"ping":\n{"id":2,"no_such_method":{}}\n{"id":3,"ping":{"payload":"here"}}\n')
    codes = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert codes == ["INVALID_ARGUMENT", "UNIMPLEMENTED"]
    assert answers[-1] == {"id": 3, "pong": {"payload": "here"}}


def test_ipc_call_and_health(executor: Server) -> None:
    called = run(BIN / "ipc", "call", executor.socket, "list_tools")
    assert called.status == 0, called.stderr
    assert json.loads(called.stdout.splitlines()[-1])
    healthy = run(BIN / "ipc", "health", executor.socket)
    assert healthy.status == 0, healthy.stderr
    assert "SERVING" in healthy.stdout


def test_ipc_call_is_strict(executor: Server) -> None:
    refused = run(BIN / "ipc", "call", executor.socket, "call_tool", '{"nmae":"x"}')
    assert refused.status != 0
    assert "nmae" in refused.stderr


def test_the_tap_changes_nothing(inference: Server, room) -> None:
    tap = subprocess.Popen(
        [BIN / "ipc", "tap", room / "tapped", inference.socket], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        until(lambda: accepts(room / "tapped"), "the tap to listen")
        question = {"chat": {"messages": [{"role": "user", "content": "Hello!"}]}, "max_tokens": 16}
        with Wire(inference.socket) as direct, Wire(room / "tapped") as tapped:
            assert (
                direct.ask(7, generate=question)["done"]["content"]
                == (tapped.ask(7, generate=question)["done"]["content"])
            )
    finally:
        tap.terminate()
        seen, _ = tap.communicate(timeout=PATIENCE_S)
    assert b"generate" in seen
    assert b"done" in seen
