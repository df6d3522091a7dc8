"""Bad usage gets one line what and one line how to fix it, and exit status 2; nothing is left behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import BIN, TOOLS, run

EVERY_PROGRAM = ["rust-inference", "python-executor", "ipc", "callspan"]


def assert_usage_error(command: list[object], *words: str) -> None:
    ran = run(*command)
    assert ran.status == 2, (ran.status, ran.stderr)
    assert ran.stdout == ""
    lines = [line for line in ran.stderr.splitlines() if line.strip()]
    assert len(lines) == 2, ran.stderr
    for word in words:
        assert word in ran.stderr


@pytest.mark.parametrize("program", EVERY_PROGRAM)
def test_an_unknown_flag(program: str) -> None:
    assert_usage_error([BIN / program, "--no-such-flag"], "--no-such-flag")


@pytest.mark.parametrize("program", EVERY_PROGRAM)
def test_help_and_version_are_data(program: str) -> None:
    for flag in ("--help", "--version"):
        ran = run(BIN / program, flag)
        assert (ran.status, ran.stderr) == (0, "")
        assert ran.stdout


def test_a_missing_model(room: Path) -> None:
    missing = room / "no-model"
    assert_usage_error([BIN / "rust-inference", "--socket", room / "s", "--model", missing], str(missing))
    assert not (room / "s").exists()


def test_a_missing_model_by_callspan(room: Path) -> None:
    missing = room / "no-model"
    assert_usage_error([BIN / "callspan", "ask", "Hello", "--model", missing], str(missing))


def test_a_missing_tools_directory(room: Path) -> None:
    missing = room / "no-tools"
    assert_usage_error([BIN / "python-executor", "--socket", room / "s", "--tools", missing], str(missing))
    assert_usage_error([BIN / "callspan", "ask", "Hello", "--tools", missing], str(missing))


def test_a_socket_path_that_is_too_long(room: Path) -> None:
    long = room / ("x" * 200)
    for command in (["rust-inference"], ["python-executor", "--tools", TOOLS]):
        ran = run(BIN / command[0], "--socket", long, *command[1:])
        assert ran.status != 0
        assert "panicked" not in ran.stderr
        assert "shorter" in ran.stderr


def test_a_question_is_needed() -> None:
    assert_usage_error([BIN / "callspan", "ask"])


def test_no_room_for_scratch_directories(room: Path) -> None:
    missing = room / "nowhere"
    command = [BIN / "python-executor", "--socket", room / "s", "--tools", TOOLS]
    assert_usage_error(["env", f"TMPDIR={missing}", *command], str(missing), "TMPDIR")


def test_an_answer_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([BIN / "callspan", "ask", "Hello"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "callspan: cannot write to stdout: No space left on device"


@pytest.mark.parametrize(("closed", "status"), [("<&- >&- 2>&-", 1), (">&-", 1), ("<&- 2>&-", 0)])
def test_a_question_with_standard_descriptors_closed_ends(closed: str, status: int) -> None:
    ran = run("sh", "-c", f'exec "$0" ask Hello {closed}', BIN / "callspan")
    assert ran.status == status, ran.stderr
    assert ("answer    Hello" in ran.stdout) == (status == 0)
    assert ("cannot write to stdout" in ran.stderr) == (closed == ">&-")
