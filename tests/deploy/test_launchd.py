"""deploy/launchd: property lists that parse, and commands that start a server where they say. No macOS is at hand: what
launchd itself makes of them is not tested."""

from __future__ import annotations

import os
import plistlib
import subprocess
from pathlib import Path

import pytest
from harness import BIN, ROOT, TOOLS, VENV, accepts, until

SERVERS = {"inference": "rust-inference", "executor": "python-executor"}
# launchd.plist(5)
KNOWN = {"Label", "ProgramArguments", "RunAtLoad", "KeepAlive", "Umask"}


def agent(server: str) -> dict:
    path = ROOT / "deploy" / "launchd" / f"callspan.{server}.plist"
    with path.open("rb") as file:
        found = plistlib.load(file)
    # launchctl wants the label to be the file's name.
    assert found["Label"] == path.stem
    return found


@pytest.mark.parametrize("server", SERVERS)
def test_an_agent_starts_its_server_below_the_home_directory(server: str, room: Path) -> None:
    """The command as it is, but for where the program is."""
    found = agent(server)
    assert found.keys() <= KNOWN
    assert found["RunAtLoad"] is True
    assert found["Umask"] == 0o077
    *shell, command = found["ProgramArguments"]
    assert shell == ["/bin/sh", "-c"]
    assert f"exec /usr/local/bin/{SERVERS[server]} " in command
    (room / "Library" / "Logs").mkdir(parents=True)
    env = {"HOME": str(room), "PATH": os.environ["PATH"], "CALLSPAN_TOOLS": str(TOOLS), "CALLSPAN_VENV": str(VENV)}
    process = subprocess.Popen([*shell, command.replace("/usr/local/bin", str(BIN))], env=env)
    try:
        until(lambda: accepts(room / "Library" / "Caches" / "callspan" / f"{server}.sock"), "the server to listen")
        until((room / "Library" / "Logs" / f"callspan-{server}.log").read_text, "what it says of itself")
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_a_server_that_refuses_to_start_is_not_started_for_ever() -> None:
    """python-executor does on macOS, unless its isolation is chosen by name."""
    assert agent("executor")["KeepAlive"] == {"Crashed": True}
    assert agent("inference")["KeepAlive"] == {"SuccessfulExit": False}
    assert "--isolation" not in agent("executor")["ProgramArguments"][-1]
