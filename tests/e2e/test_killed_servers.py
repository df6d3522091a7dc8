"""kill -9 on either server in the middle of a question: the orchestrator says which, starts it again if it was its
own, and the user loses that step at most.

The middle is not a matter of luck here. A tool that sleeps holds the question open, and a server that is stopped
(SIGSTOP) before its turn is killed while a request to it is under way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import harness
import pytest
from harness import BIN, Server, begin, descendants, finish, until

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


def ask(*arguments: str | Path) -> subprocess.Popen[str]:
    return begin(BIN / "callspan", "ask", QUESTION, *arguments)


def server_below(pid: int, name: str) -> int | None:
    """The server that callspan started: the uppermost process of that name."""
    matching = [child for child, command in descendants(pid).items() if Path(command.split(" ")[0]).name == name]
    return min(matching, default=None)


def tool_is_running(executor_pid: int) -> bool:
    """The tool sleeps in a child of the executor: this many processes are below it only during a call."""
    return any(_is_sleeping_tool(pid) for pid in descendants(executor_pid))


def _is_sleeping_tool(pid: int) -> bool:
    try:
        return "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False


def test_our_own_executor_is_started_again(tools: Path) -> None:
    question = ask("--tools", tools)
    executor = until(lambda: server_below(question.pid, "python-executor"), "callspan to start the executor")
    until(lambda: tool_is_running(executor), "the tool to run")
    os.kill(executor, signal.SIGKILL)
    ran = finish(question)
    assert "python-executor" in ran.stderr + ran.stdout
    assert ran.status == 0, ran.stderr
    assert ran.stdout.strip(), "an answer in spite of the lost step"


def test_our_own_inference_is_started_again(tools: Path) -> None:
    question = ask("--tools", tools)
    executor = until(lambda: server_below(question.pid, "python-executor"), "callspan to start the executor")
    inference = until(lambda: server_below(question.pid, "rust-inference"), "callspan to start the model's server")
    until(lambda: tool_is_running(executor), "the tool to run")
    os.kill(inference, signal.SIGSTOP)
    until(lambda: not tool_is_running(executor), "the tool to end")
    time.sleep(0.5)  # now the question waits for the model's server, which stands still
    os.kill(inference, signal.SIGKILL)
    ran = finish(question)
    assert "rust-inference" in ran.stderr + ran.stdout
    assert ran.status == 0, ran.stderr
    assert "all good" in ran.stdout


@pytest.mark.parametrize("victim", ["rust-inference", "python-executor"])
def test_a_server_of_somebody_else_is_named(start, tools: Path, victim: str) -> None:
    servers: dict[str, Server] = {
        "rust-inference": start("rust-inference"),
        "python-executor": start("python-executor", "--tools", tools, "--venv", harness.VENV),
    }
    question = ask("--inference", servers["rust-inference"].socket, "--executor", servers["python-executor"].socket)
    until(lambda: tool_is_running(servers["python-executor"].process.pid), "the tool to run")
    servers[victim].kill()
    ran = finish(question)
    assert ran.status not in (0, 2), ran.stdout
    assert victim in ran.stderr or str(servers[victim].socket) in ran.stderr
