"""`python -m callspan.evaluate` where a run ends early: what came is kept, and told as what it is."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from callspan import evaluate
from callspan.evaluate.cli import main
from callspan.evaluate.judge import judge
from evaluated import line
from fakes import completion, done, openai, protocol

GONE = (502, b'{"error": {"message": "<gone>"}}')
LATE = (504, b'{"error": {"message": "late"}}')
NOBODY = completion(content="Nobody.")
PACKAGE = str(Path(evaluate.__file__).parent.parent.parent)
WHY = "refuses: 502: <gone> (at 2, case 3 of 5)"


@pytest.fixture
def cases(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(json.dumps(line(str(n), {"no_call": "refuse"})) + "\n" for n in range(5)))
    return str(file)


def ended(cases, answers, *arguments):
    """The exit status of a run of these answers, one for each case that is asked."""
    left = iter(answers)
    with openai(lambda *_: next(left)) as url:
        status = main([cases, "--openai", url, *map(str, arguments)])
    assert next(left, None) is None, "fewer were asked"
    return status


def test_what_came_before_the_end_is_written_and_told_as_a_part(cases, tmp_path, capsys):
    assert ended(cases, [NOBODY, NOBODY, GONE], "--out", tmp_path / "out", "--min", "all=100%") == 2
    said = capsys.readouterr()
    first, *table = said.out.splitlines()
    assert first.startswith("only the first 2 of 5 cases: http://127.0.0.1:")
    assert first.endswith(WHY)
    assert [row.split()[:3] for row in table if row.startswith("all")] == [["all", "2", "100.0"]]
    assert said.err.startswith("error: ")
    assert WHY in said.err
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    assert ([case["id"] for case in made["cases"]], made["ended"]["of"]) == (["0", "1"], 5)
    assert made["ended"]["why"].endswith(WHY)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<strong>only the first 2 of 5 cases: http://" in page
    assert "&lt;gone&gt; (at 2, case 3 of 5)</strong>" in page


def test_a_part_does_not_replace_a_report(cases, tmp_path, capsys):
    assert ended(cases, [NOBODY] * 5, "--out", tmp_path) == 0
    assert ended(cases, [NOBODY, GONE], "--out", tmp_path) == 2
    told = [json.loads((tmp_path / name / "report.json").read_text()) for name in ("", "part")]
    assert [made["all"]["cases"] for made in told] == [5, 1]
    assert f"this one is in {tmp_path / 'part'}\n" in capsys.readouterr().err


def test_without_a_directory_the_table_is_told(cases, capsys):
    assert ended(cases, [NOBODY, GONE]) == 2
    assert capsys.readouterr().out.startswith("only the first 1 of 5 cases: ")


def test_the_table_is_told_where_the_report_cannot_be_written(cases, tmp_path, capsys):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert ended(cases, [NOBODY, GONE], "--out", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert "only the first 1 of 5 cases" in said.out
    assert "cannot be written: Is a directory" in said.err


def test_ctrl_c_keeps_what_came(cases, tmp_path, capsys):
    answers = iter([NOBODY, NOBODY, None])

    def answer(*_):
        said = next(answers)
        if said is None:
            os.kill(os.getpid(), signal.SIGINT)
        return said or NOBODY

    # What starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with openai(answer) as url:
            assert main([cases, "--openai", url, "--out", str(tmp_path)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    made = json.loads((tmp_path / "report.json").read_text())
    assert (made["all"]["cases"], made["ended"]) == (2, {"of": 5, "why": "interrupted"})
    assert capsys.readouterr().out.startswith("only the first 2 of 5 cases: interrupted\n")


def test_sigterm_keeps_what_came(cases, tmp_path):
    asked = []

    def answer(*_):
        asked.append(1)
        if len(asked) == 3:
            process.terminate()
            process.wait(timeout=30)
        return NOBODY

    with openai(answer) as url:
        command = [sys.executable, "-m", "callspan.evaluate", cases, "--openai", url, "--out", tmp_path / "out"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": PACKAGE})
        told = process.communicate(timeout=60)[0]
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (process.returncode, made["all"]["cases"]) == (143, 2)
    assert told.startswith("only the first 2 of 5 cases: it was told to end\n")


def test_what_nobody_foresaw_is_raised_when_the_answers_are_kept(cases, tmp_path, monkeypatch):
    def broken(case, reply):
        return judge(case, reply) if case.id == "0" else [][0]

    monkeypatch.setattr("callspan.evaluate.run.judge", broken)
    with pytest.raises(IndexError):
        ended(cases, [NOBODY, NOBODY], "--out", tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["ended"]["why"].startswith("IndexError(")


def test_a_server_that_hangs_is_given_up_with_what_came(cases, tmp_path, capsys):
    assert ended(cases, [NOBODY, LATE, LATE, LATE], "--out", tmp_path) == 2
    assert "3 times in a row (at 3, case 4 of 5)" in capsys.readouterr().err
    made = json.loads((tmp_path / "report.json").read_text())
    assert (made["all"]["cases"], made["all"]["errors"]) == (4, 3)


def test_a_run_that_came_to_its_last_case_is_whole(cases, capsys):
    assert ended(cases, [NOBODY, NOBODY, LATE, LATE, LATE]) == 0
    said = capsys.readouterr().out
    assert "cases without an answer: 3" in said
    assert "only the first" not in said


def test_of_no_answer_there_is_no_report(cases, tmp_path, capsys):
    assert ended(cases, [LATE, LATE, LATE], "--out", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert "3 times in a row (at 2, case 3 of 5)" in said.err
    assert (said.out, list((tmp_path / "out").iterdir())) == ("", [])


def test_a_server_that_stays_busy_leaves_what_came(cases, capsys, monkeypatch):
    monkeypatch.setattr("callspan.evaluate.chat._BACK_OFF_S", (0.0, 0.0))
    assert ended(cases, [NOBODY, NOBODY, *[(429, b'{"error": {"message": "slow down"}}')] * 3]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("only the first 2 of 5 cases: ")
    assert "refuses: 429: slow down (at 2, case 3 of 5)" in said.err


def test_a_part_is_compared_by_what_it_has(cases, tmp_path, capsys):
    ended(cases, [NOBODY, NOBODY, GONE], "--out", tmp_path / "a")
    ended(cases, [NOBODY] * 5, "--out", tmp_path / "b")
    capsys.readouterr()
    a, b = (str(tmp_path / name / "report.json") for name in "ab")
    assert main(["--compare", a, b]) == 0
    first, second, *rows, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"A: {a}, only the first 2 of 5 cases: ")
    assert second == f"B: {b}"
    assert [row.split()[:2] for row in rows if row.startswith("all")] == [["all", "2"]]
    assert last == "3 cases that only one of them has are left out"


def test_our_own_server_that_dies_is_one(cases, capsys):
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as room:
        path = Path(room) / "s"
        with protocol(path, lambda asked: done(asked, content="No.") if asked["id"] == 1 else b""):
            assert main([cases, "--socket", str(path)]) == 2
    assert "only the first 1 of 5 cases" in capsys.readouterr().out


def test_how_far_a_long_run_is_is_told(cases, capsys, monkeypatch):
    assert ended(cases, [NOBODY] * 5) == 0
    assert capsys.readouterr().err == "", "a short one says nothing"
    monkeypatch.setattr("callspan.evaluate.run._TELL_S", 0)
    called = completion(tool_calls=[{"function": {"name": "set_lamp"}}])
    assert ended(cases, [NOBODY, NOBODY, called, NOBODY, NOBODY]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[2] == "3 of 5 cases, 66.7 % right so far, about 1 min left"
    assert len(told) == 4, "after the last there is nothing to wait for"


@pytest.mark.parametrize(("last", "asked", "said"), [(1, 2, []), (6, 7, ["all", "1"])])
def test_of_two_runs_beside_each_other_the_first_or_the_second_may_end(cases, tmp_path, capsys, last, asked, said):
    program = tmp_path / "rust-inference"
    told = '{"ok": true, "result": {"prompt": "?", "content": "No."}}'
    program.write_text(f"#!/bin/sh\nwhile read line; do echo '{told}'; done\n")
    program.chmod(0o755)
    answered = []

    def answer(asked):
        answered.append(asked)
        return done(asked, content="No.") if len(answered) <= last else b""

    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as room:
        path = Path(room) / "s"
        with protocol(path, answer):
            assert main([cases, "--socket", str(path), "--beside", "--program", str(program)]) == 2
    assert len(answered) == asked
    _, _, compared = capsys.readouterr().out.partition("A: constrained\n")
    assert [row.split()[:2] for row in compared.splitlines() if row.startswith("all")] == [said] * bool(said)


def test_a_program_that_dies_is_one_as_well(cases, tmp_path, capsys):
    program = tmp_path / "rust-inference"
    said = '{"ok": true, "result": {"prompt": "?", "content": "No."}}'
    program.write_text(f"#!/bin/sh\nread line\necho '{said}'\n")
    program.chmod(0o755)

    def answer(asked):
        time.sleep(0.3)  # Until it is gone, and its pipe is closed.
        return done(asked, content="No.")

    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp") as room:
        path = Path(room) / "s"
        with protocol(path, answer):
            assert main([cases, "--socket", str(path), "--unconstrained", "--program", str(program)]) == 2
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "only the first 1 of 5 cases: rust-inference render --batch gave no answer (at 1, case 2 of 5)"
