"""kill -9 on either server in the middle of a question: the orchestrator says which, starts it again if it was its
own, and the user loses that step at most.

The middle is not a matter of luck here. A tool that sleeps holds the question open, and a server that is stopped
(SIGSTOP) before its turn is killed while a request to it is under way.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from harness import BIN, PATIENCE_S, VENV, Ran, Server, begin, descendants, finish, until

SLEEPER = '''
import time

from callspan import tool


@tool
def get_server_status() -> str:
    """Get the server status."""
    time.sleep({seconds})
    return "all good"
'''
QUESTION = "Get the server status"


@pytest.fixture
def tools(room: Path) -> Path:
    folder = room / "tools"
    folder.mkdir()
    (folder / "sleeper.py").write_text(SLEEPER.format(seconds=3))
    return folder


class Question:
    """`callspan ask --json`, whose events are read as they come."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = begin(BIN / "callspan", "ask", QUESTION, "--json", *arguments)
        self.events: list[dict[str, Any]] = []

    def until(self, event: str) -> dict[str, Any]:
        """Reads on to the next event of this name."""
        # A question that hangs is ended, and with it the reading.
        limit = threading.Timer(PATIENCE_S, os.killpg, (self.process.pid, signal.SIGKILL))
        limit.start()
        try:
            while line := self.process.stdout.readline():
                self.events.append(json.loads(line))
                if self.events[-1]["event"] == event:
                    return self.events[-1]
        finally:
            limit.cancel()
        rest = finish(self.process)
        raise AssertionError(f"no event {event}; there were {self.events}; status {rest.status}: {rest.stderr}")

    def server(self, name: str) -> int:
        """The process of a server that callspan started: the uppermost of that name."""
        below = descendants(self.process.pid)
        found = [pid for pid, command in below.items() if Path(command.split(" ")[0]).name == name]
        assert found, f"no {name} among {below}"
        return min(found)

    def end(self) -> Ran:
        ran = finish(self.process)
        self.events += ran.events()
        return ran

    def named(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events if found["event"] == event]


def test_our_own_executor_is_started_again(tools: Path) -> None:
    question = Question("--tools", tools)
    question.until("call")
    time.sleep(0.5)  # of the tool's three seconds
    os.kill(question.server("python-executor"), signal.SIGKILL)
    ran = question.end()
    assert [event["server"] for event in question.named("restart")] == ["python-executor"], question.events
    # The step is lost, and said to be: a call whose effect is unknown is not repeated behind the user's back.
    (result,) = question.named("result")
    assert result["outcome"] != "ok"
    assert ran.status == 0, ran.stderr
    assert question.named("answer")


def test_our_own_inference_is_started_again(tools: Path) -> None:
    question = Question("--tools", tools)
    question.until("call")
    inference = question.server("rust-inference")
    os.kill(inference, signal.SIGSTOP)
    question.until("result")
    time.sleep(0.5)  # now the question waits for the model's server, which stands still
    os.kill(inference, signal.SIGKILL)
    ran = question.end()
    assert [event["server"] for event in question.named("restart")] == ["rust-inference"], question.events
    # Nothing is lost: what the tool gave is still there, and the model is asked again.
    assert [event["result"] for event in question.named("result")] == ["all good"]
    assert ran.status == 0, ran.stderr
    assert question.named("answer")


@pytest.mark.parametrize("victim", ["rust-inference", "python-executor"])
def test_a_server_of_somebody_else_is_named(start, tools: Path, victim: str) -> None:
    servers: dict[str, Server] = {
        "rust-inference": start("rust-inference"),
        "python-executor": start("python-executor", "--tools", tools, "--venv", VENV),
    }
    question = Question(
        "--inference", servers["rust-inference"].socket, "--executor", servers["python-executor"].socket
    )
    question.until("call")
    time.sleep(0.5)
    servers[victim].kill()
    ran = question.end()
    assert ran.status == 1, (ran.stdout, ran.stderr)
    (error,) = question.named("error")
    assert victim in error["message"] or str(servers[victim].socket) in error["message"]
    assert error["hint"]


def test_callspan_leaves_nothing_behind(tools: Path) -> None:
    question = Question("--tools", tools)
    question.until("call")
    below = descendants(question.process.pid)
    assert below
    question.process.send_signal(signal.SIGKILL)
    question.process.wait(PATIENCE_S)
    until(lambda: not [pid for pid in below if Path(f"/proc/{pid}").exists()], "the servers to end with callspan")
