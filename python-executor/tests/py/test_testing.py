"""`callspan.testing.call`: a tool in the test's own process, judged as in production."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from callspan import Artefact, Context, ToolError, channel
from callspan.testing import Sandbox, call


def double(ctx: Context, n: Annotated[int, Field(ge=0)]) -> int:
    """Double a number."""
    sys.stdout.write("out\n")
    sys.stderr.write("err\n")
    logging.getLogger("double").warning("doubling")
    ctx.progress(0.5)
    ctx.artefact(b"data", "text/plain", "n.txt")
    Path("here.txt").write_text("x")
    return 2 * n


def fail(kind: str) -> object:
    """Fail."""
    if kind == "bad":
        return object()
    raise {"value": ValueError, "memory": MemoryError, "exit": SystemExit}[kind]("so")


def test_a_call_gives_its_value_and_what_it_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(double, n=21)
    assert (result.outcome, result.value, result.stdout, result.stderr) == ("ok", 42, "out\n", "err\n")
    assert result.progress == [{"fraction": 0.5, "message": ""}]
    assert result.logs == [{"level": "WARNING", "logger": "double", "message": "doubling"}]
    assert result.artefacts == {"n.txt": ("text/plain", b"data")}
    assert list(tmp_path.iterdir()) == []
    assert Path.cwd() == tmp_path
    assert channel.current is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "/n: -1 is less than the minimum of 0"),
        ({"n": "1"}, "/n: '1' is not of type 'integer'"),
        ({}, "'n' is a required property"),
        ({"n": 1, "ctx": 1}, "Additional properties are not allowed ('ctx' was unexpected)"),
    ],
)
def test_arguments_are_checked_against_the_schema_as_in_production(arguments, message):
    result = call(double, **arguments)
    assert (result.outcome, result.error.message) == ("invalid_arguments", message)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("kind", "outcome", "error"),
    [
        ("value", "exception", "ValueError: so"),
        ("memory", "memory", "MemoryError: so"),
        ("exit", "exited", "SystemExit: so"),
        ("bad", "bad_result", "bad_result: result is a object, which has no JSON form"),
    ],
)
def test_a_failure_has_the_executors_name_and_its_value_raises(kind, outcome, error):
    result = call(fail, kind=kind)
    assert result.outcome == outcome
    with pytest.raises(ToolError) as caught:
        _ = result.value
    assert str(caught.value) == error


def test_values_that_json_has_a_form_for_may_be_given_as_they_are():
    import datetime

    def later(day: datetime.date) -> datetime.date:
        return day + datetime.timedelta(1)

    assert call(later, day=datetime.date(2024, 2, 28)).value == "2024-02-29"


def test_null_stands_for_an_argument_whose_default_it_is():
    def label(text: str | None = None, size: int = 1) -> str:
        return repr(text)

    assert call(label, text=None).value == "None"
    assert call(label, size=None).outcome == "invalid_arguments"


def test_an_artefact_in_the_result_is_kept():
    def give() -> list[Artefact]:
        return [Artefact(b"1", name="a"), Artefact(b"2", name="a")]

    result = call(give)
    assert [said["artefact"] for said in result.value] == list(result.artefacts) == ["a", "a-2"]


def test_a_program_that_is_not_there_is_said_to_be(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="none"), Sandbox(tmp_path, program=tmp_path / "none"):
        pass
    with pytest.raises(ConnectionError, match="does not start"), Sandbox(tmp_path, program="/bin/false"):
        pass
