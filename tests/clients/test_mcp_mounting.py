"""A server of the official Python SDK, mounted: its tools are called through all of our processes, by our own model."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest

WEATHER = f"weather={sys.executable} {Path(__file__).with_name('mcp_weather.py')}"


@pytest.fixture
def mount(room: Path) -> Iterator[Callable[..., harness.Server]]:
    """Starts python-executor with the weather server and no tools of our own."""
    (room / "tools").mkdir()
    started: list[harness.Server] = []

    def start(*arguments: str | Path) -> harness.Server:
        always = ("--tools", room / "tools", "--venv", harness.VENV, "--mcp-server", WEATHER)
        path = room / f"executor-{len(started)}"
        started.append(harness.start("python-executor", path, *always, *arguments))
        return started[-1]

    yield start
    for server in started:
        if server.alive():
            server.kill()


def told(frame: dict[str, Any]) -> dict[str, Any]:
    """A result, with the value that its text is."""
    result = frame["tool_result"]
    return {**result, "result": json.loads(result.get("result", "null"))}


def call(server: harness.Server, name: str, **arguments: Any) -> dict[str, Any]:
    with harness.Wire(server.socket) as wire:
        return told(wire.ask(1, call_tool={"name": f"weather__{name}", "arguments": arguments}))


@pytest.mark.parametrize("level", ["full", "reduced"])
def test_a_server_of_the_sdk_runs_confined_and_its_results_are_ours(
    mount: Callable[..., harness.Server], level: str
) -> None:
    server = mount("--isolation", level)
    with harness.Wire(server.socket) as wire:
        tools = wire.ask(1, list_tools={})["tools"]
    assert "problems" not in tools, tools
    assert [tool["name"] for tool in tools["tools"]] == [
        f"weather__{name}" for name in ("get_forecast", "get_alerts", "read_file", "look_up", "wait_for_rain")
    ]
    forecast = call(server, "get_forecast", city="Ghent")
    assert (forecast["outcome"], forecast["result"]) == ("ok", {"city": "Ghent", "forecast": "fog"})
    assert forecast["isolation"]["level"] == level
    assert call(server, "get_alerts", state="TX")["result"] == {"result": "no alerts in TX"}
    failed = call(server, "get_alerts", state="Texas")
    assert failed["outcome"] == "exception"
    assert "Texas is no state's abbreviation" in failed["error"]["message"]
    assert call(server, "get_forecast", city=3)["outcome"] == "invalid_arguments"
    unseen = call(server, "read_file", path="/etc/passwd")["error"]["message"]
    assert unseen.endswith(("FileNotFoundError", "PermissionError"))
    assert call(server, "look_up", host="127.0.0.1")["error"]["message"].endswith("PermissionError")


def test_progress_of_a_server_of_the_sdk_goes_through(mount: Callable[..., harness.Server]) -> None:
    server = mount()
    with harness.Wire(server.socket) as wire:
        wire.send(id=1, call_tool={"name": "weather__wait_for_rain", "arguments": {"seconds": 0.2}})
        assert told(wire.finish(1))["result"] == {"result": "it rains"}
        progress = [frame["delta"]["progress"] for frame in wire.kept[1] if "progress" in frame.get("delta", {})]
        assert progress[-1] == {"fraction": 0.75, "message": "step 3"}


def test_our_model_calls_a_tool_of_a_mounted_server(mount: Callable[..., harness.Server], room: Path) -> None:
    constant = f"c-{secrets.token_hex(8)}"
    config = room / "policy.toml"
    config.write_text('[mcp.weather]\nenvironment = ["FORECAST"]\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORECAST", constant)
        server = mount("--policy", config)
    tap = subprocess.Popen(
        [harness.BIN / "ipc", "tap", room / "tap", server.socket],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        harness.until(lambda: harness.accepts(room / "tap"), "the tap to listen")
        question = "Get the weather forecast for Ghent"
        asked = harness.run(harness.BIN / "callspan", "ask", question, "--json", "--executor", room / "tap")
    finally:
        tap.terminate()
        seen, _ = tap.communicate(timeout=30)
    assert asked.status == 0, (asked.stderr, asked.stdout)
    (result,) = [event for event in asked.events() if event["event"] == "result"]
    assert (result["name"], result["outcome"]) == ("weather__get_forecast", "ok"), asked.stdout
    assert result["result"] == {"city": "Ghent", "forecast": constant}
    assert "call_tool" in seen
