"""`callspan.testing.Sandbox`: what an author of tools runs in pytest, against the real executor."""

from __future__ import annotations

from pathlib import Path

import pytest
from callspan import ToolError
from callspan.errors import ToolFileError
from callspan.testing import Sandbox
from harness import BIN, VENV

TOOLS = '''
import socket
from callspan import tool

@tool
def half(n: float) -> float:
    """Halve a number."""
    print("halving")
    return n / 2

@tool
def leave() -> None:
    """Open a socket."""
    socket.socket()
'''


@pytest.fixture
def tools(room: Path) -> Path:
    (room / "tools").mkdir()
    (room / "tools" / "t.py").write_text(TOOLS)
    return room / "tools"


def test_a_tool_is_called_in_the_sandbox_and_its_failures_have_their_names(tools: Path) -> None:
    with Sandbox(tools, "--venv", VENV, program=BIN / "python-executor") as sandbox:
        result = sandbox.call("half", n=3)
        assert (result.outcome, result.value, result.stdout) == ("ok", 1.5, "halving\n")
        wrong = sandbox.call("half", n="three")
        assert (wrong.outcome, wrong.error and wrong.error.message) == (
            "invalid_arguments",
            '/n: "three" is not of type "number"',
        )
        with pytest.raises(ToolError, match="PermissionError"):
            _ = sandbox.call("leave").value
        assert sandbox.call("leave").traceback == "t.py:14 in leave"


def test_a_tool_file_that_cannot_be_used_is_an_error_and_nothing_is_left_running(tools: Path) -> None:
    (tools / "broken.py").write_text("import nowhere_to_be_found\n")
    sandbox = Sandbox(tools, "--venv", VENV, program=BIN / "python-executor")
    with pytest.raises(ToolFileError, match=r"broken\.py:1: ModuleNotFoundError"), sandbox:
        pass
    assert sandbox.process is not None
    assert sandbox.process.poll() is not None
