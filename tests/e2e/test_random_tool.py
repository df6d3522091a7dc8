"""The whole way, with nothing known beforehand: a tool whose name and result are drawn at test time is asked for in a
sentence, and its constant comes back through all three processes."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from harness import BIN, VENV, accepts, run, until

TOOL = '''
from callspan import tool


@tool
def {name}() -> str:
    """{description}"""
    return "{constant}"
'''
VERBS = ["get", "show", "check", "read"]
ASPECTS = ["status", "report", "level", "code"]


def invented_word() -> str:
    """Two or three syllables that mean nothing: the model cannot have learnt it, only copy it."""
    syllables = 2 + secrets.randbelow(2)
    return "".join(secrets.choice("bdfgklmnprstvz") + secrets.choice("aeiou") for _ in range(syllables))


def test_a_tool_made_up_at_test_time_is_called_and_its_constant_found(room: Path, start) -> None:
    verb, thing, aspect = secrets.choice(VERBS), invented_word(), secrets.choice(ASPECTS)
    name, constant = f"{verb}_{thing}_{aspect}", f"c-{secrets.token_hex(8)}"
    sentence = f"{verb.capitalize()} the {thing} {aspect}"
    tools = room / "tools"
    tools.mkdir()
    (tools / "made_up.py").write_text(TOOL.format(name=name, description=f"{sentence}.", constant=constant))

    inference = start("rust-inference")
    executor = start("python-executor", "--tools", tools, "--venv", VENV)
    # Taps show that it went over both sockets, not that the orchestrator says so.
    taps = {
        server.name: subprocess.Popen(
            [BIN / "ipc", "tap", room / f"{server.name}.tap", server.socket],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for server in (inference, executor)
    }
    try:
        until(lambda: all(accepts(room / f"{name}.tap") for name in taps), "the taps to listen")
        asked = run(
            BIN / "callspan",
            "ask",
            sentence,
            "--json",
            "--inference",
            room / "rust-inference.tap",
            "--executor",
            room / "python-executor.tap",
        )
    finally:
        seen = {}
        for server, tap in taps.items():
            tap.terminate()
            seen[server], _ = tap.communicate(timeout=30)
    assert asked.status == 0, (sentence, asked.stderr, asked.stdout)
    (result,) = [event for event in asked.events() if event["event"] == "result"]
    assert (result["name"], result["outcome"], result["result"]) == (name, "ok", constant)
    assert "call_tool" in seen["python-executor"]
    assert "generate" in seen["rust-inference"]


TOOL_WITH_A_SET = '''
from callspan import tool


@tool
def get_lamp_status(labels: set[str] | None = None) -> str:
    """Get the lamp status.

    Args:
        labels: Which lamps
    """
    return "lit-since-noon"
'''


def test_a_tool_whose_schema_cannot_be_guaranteed_in_full_is_called_all_the_same(room: Path) -> None:
    tools = room / "tools"
    tools.mkdir()
    (tools / "lamp.py").write_text(TOOL_WITH_A_SET)
    asked = run(BIN / "callspan", "ask", "Get the lamp status", "--tools", tools, "--json")
    assert asked.status == 0, asked
    assert "uniqueItems" in asked.stdout + asked.stderr, asked
    assert "lit-since-noon" in asked.stdout, asked
