"""Our tools, called by the client of the official Python SDK, which starts the executor as any MCP client would."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import harness
import pytest
from mcp import Client, MCPError, StdioServerParameters

TOOLS = '''
import time
from typing import Annotated
from callspan import Artefact, Context, tool
from pydantic import Field

@tool
def add(a: int, b: int) -> dict:
    """Add.

    Args:
        a: One number
        b: The other
    """
    return {"sum": a + b}

@tool
def square(n: Annotated[int, Field(ge=0)]) -> int:
    """Square a number."""
    return n * n

@tool
def fail() -> None:
    """Fail."""
    raise KeyError("no such day")

@tool(wall_ms=60000)
def wait(ctx: Context, seconds: float) -> str:
    """Wait."""
    for step in range(3):
        ctx.progress(step + 1, 4, f"step {step + 1}")
        time.sleep(0.05)
    time.sleep(seconds)
    return "waited"

@tool
def draw() -> Artefact:
    """Draw."""
    return Artefact(b"\\x89PNG", "image/png", "p.png")
'''

# Both ways that a session can begin: the handshake of older revisions, and the newest, which has none.
MODES = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tools(room: Path) -> Path:
    (room / "tools").mkdir()
    (room / "tools" / "t.py").write_text(TOOLS)
    return room / "tools"


@pytest.fixture
def connect(tools: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def connected(mode: str, *arguments: str) -> AsyncIterator[Client]:
        program = StdioServerParameters(
            command=str(harness.BIN / "python-executor"),
            args=["--mcp", "--tools", str(tools), "--venv", str(harness.VENV), *arguments],
        )
        with anyio.fail_after(harness.PATIENCE_S):
            async with Client(program, mode=mode) as client:
                yield client

    return connected


def executors(below: int) -> dict[int, str]:
    return {pid: line for pid, line in harness.descendants(below).items() if "python-executor" in line}


@MODES
@pytest.mark.anyio
async def test_tools_are_listed_and_called_with_structured_results(connect: Callable[..., Any], mode: str) -> None:
    async with connect(mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["add", "square", "fail", "wait", "draw"]
        assert tools["add"].input_schema["properties"]["b"] == {"description": "The other", "type": "integer"}
        assert tools["add"].annotations is not None
        assert tools["add"].annotations.read_only_hint is True
        result = await client.call_tool("add", {"a": 2, "b": 40})
        assert (result.is_error, result.structured_content) == (False, {"sum": 42})
        assert json.loads(result.content[0].text) == {"sum": 42}
        assert result.meta is not None
        assert result.meta["callspan/isolation"]["level"] in ("full", "reduced")
        square = await client.call_tool("square", {"n": 12})
        assert square.structured_content == ({"result": 144} if mode == "legacy" else 144)
        picture = (await client.call_tool("draw")).content[1]
        assert (picture.type, picture.mime_type) == ("image", "image/png")


@MODES
@pytest.mark.anyio
async def test_a_failure_is_a_result_and_an_unknown_tool_an_error(connect: Callable[..., Any], mode: str) -> None:
    async with connect(mode) as client:
        failed = await client.call_tool("fail")
        assert (failed.is_error, failed.content[0].text) == (True, "exception: KeyError: 'no such day'")
        wrong = await client.call_tool("square", {"n": -1})
        assert (wrong.is_error, wrong.content[0].text) == (
            True,
            "invalid_arguments: /n: -1 is less than the minimum of 0",
        )
        with pytest.raises(MCPError, match='there is no tool "none"') as no_such:
            await client.call_tool("none")
        assert no_such.value.error.code == -32602


@MODES
@pytest.mark.anyio
async def test_progress_is_told_while_a_call_runs(connect: Callable[..., Any], mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with connect(mode) as client:
        result = await client.call_tool("wait", {"seconds": 0}, progress_callback=hear)
        assert result.content[0].text == "waited"
        assert told == [(0.25, 1.0, "step 1"), (0.5, 1.0, "step 2"), (0.75, 1.0, "step 3")]


@MODES
@pytest.mark.anyio
async def test_twenty_calls_at_once_are_each_answered(connect: Callable[..., Any], mode: str) -> None:
    squares: dict[int, Any] = {}

    async with connect(mode) as client:

        async def square(n: int) -> None:
            squares[n] = (await client.call_tool("square", {"n": n})).content[0].text

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(square, n)
    assert squares == {n: str(n * n) for n in range(20)}


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await anyio.sleep(0.02)


async def begun(group: Any, call: Callable[..., Awaitable[Any]]) -> None:
    """Waits until the tool has told how far it is."""
    started = anyio.Event()

    async def hear(*_: Any) -> None:
        started.set()

    group.start_soon(call, hear)
    await started.wait()


# One call at a time, which may last: what is called next waits until the one before has ended.
PATIENT = ("--wall-ms", "60000", "--max-calls", "1")


@MODES
@pytest.mark.anyio
async def test_a_cancelled_call_is_stopped_and_the_session_goes_on(connect: Callable[..., Any], mode: str) -> None:
    async with connect(mode, *PATIENT) as client:

        async def wait(hear: Any) -> None:
            await client.call_tool("wait", {"seconds": 50}, progress_callback=hear)

        async with anyio.create_task_group() as group:
            await begun(group, wait)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            assert (await client.call_tool("square", {"n": 3})).content[0].text == "9"


@MODES
@pytest.mark.anyio
async def test_a_session_that_is_closed_in_a_call_leaves_no_process(connect: Callable[..., Any], mode: str) -> None:
    with anyio.fail_after(harness.PATIENCE_S):
        async with anyio.create_task_group() as group, connect(mode, *PATIENT) as client:

            async def wait(hear: Any) -> None:
                with pytest.raises((MCPError, anyio.ClosedResourceError)):
                    await client.call_tool("wait", {"seconds": 50}, progress_callback=hear)

            await begun(group, wait)
            assert executors(os.getpid())
        await until(lambda: not executors(os.getpid()))


@pytest.mark.anyio
async def test_a_killed_executor_ends_the_calls_and_leaves_no_process(connect: Callable[..., Any]) -> None:
    with anyio.fail_after(harness.PATIENCE_S):
        async with connect("legacy", *PATIENT) as client, anyio.create_task_group() as group:

            async def wait(hear: Any) -> None:
                with pytest.raises(MCPError, match=r"[Cc]onnection closed"):
                    await client.call_tool("wait", {"seconds": 50}, progress_callback=hear)

            await begun(group, wait)
            first = min(executors(os.getpid()))
            os.kill(first, signal.SIGKILL)
        await until(lambda: not executors(os.getpid()))
