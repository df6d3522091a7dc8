"""`callspan.testing.Sandbox`: what an author of tools runs in pytest, against the real executor."""

from __future__ import annotations

from pathlib import Path

import pytest
from callspan import ToolError
from callspan.errors import ToolFileError
from callspan.testing import Sandbox
from harness import BIN, VENV

TOOLS = '''
import logging, socket
from callspan import Artefact, Context, tool

@tool
def half(n: float) -> float:
    """Halve a number."""
    print("halving")
    return n / 2

@tool(wall_ms=60000, network=["127.0.0.1:1"])
async def tell(ctx: Context, note: str | None = None) -> dict:
    """Tell everything."""
    ctx.progress(1, 4, "telling")
    logging.getLogger("mine").info("noted %s", note)
    ctx.artefact(b"early", "text/plain", "early.txt")
    return {"note": note, "picture": Artefact(b"PNG", "image/png", "p.png"), "scratch": str(ctx.scratch)}

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
        assert sandbox.call("leave").traceback == "t.py:22 in leave"


def test_progress_logs_and_artefacts_come_out_of_the_sandbox(tools: Path) -> None:
    with Sandbox(tools, "--venv", VENV, program=BIN / "python-executor") as sandbox:
        result = sandbox.call("tell", note=None)
        assert (result.value["note"], result.value["picture"]["artefact"]) == (None, "p.png")
        assert result.progress == [{"fraction": 0.25, "message": "telling"}]
        assert result.logs == [{"level": "INFO", "logger": "mine", "message": "noted None"}]
        assert result.artefacts == {"early.txt": ("text/plain", b"early"), "p.png": ("image/png", b"PNG")}
        assert sandbox.call("half", n=None).outcome == "invalid_arguments"


def test_a_snippet_calls_the_tools_that_are_allowed(tools: Path) -> None:
    with Sandbox(tools, "--venv", VENV, program=BIN / "python-executor") as sandbox:
        assert sandbox.run_code("x = half(3)\nx + half(n=1)", allow=["half"]).value == 2.0
        denied = sandbox.run_code("half(3)")
        assert denied.error is not None
        assert denied.error.type == "PermissionError"
        assert denied.traceback == "<snippet>:1 in <module>\n    half(3)"
        assert sandbox.run_code("await tell()", allow=["tell"]).error is not None


def test_a_tool_file_that_cannot_be_used_is_an_error_and_nothing_is_left_running(tools: Path) -> None:
    (tools / "broken.py").write_text("import nowhere_to_be_found\n")
    sandbox = Sandbox(tools, "--venv", VENV, program=BIN / "python-executor")
    with pytest.raises(ToolFileError, match=r"broken\.py:1: ModuleNotFoundError"), sandbox:
        pass
    assert sandbox.process is not None
    assert sandbox.process.poll() is not None
