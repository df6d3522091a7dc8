"""`python -m callspan.evaluate`: from files to a report, and what keeps it from one."""

import html.parser
import json
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callspan.evaluate.cli import main
from evaluated import call, line
from fakes import completion, openai

BFCL = Path(__file__).parents[1] / "data" / "bfcl"
LINES = [
    line("hall", {"calls": [call(room=["hall"])]}, text="hall <b>"),
    line("cellar", {"calls": [call(room=["cellar"])]}, text="cellar") | {"split": "held-out"},
    line("prose", {"no_call": "refuse"}, kind="refuse", text="Who are you?"),
]


@pytest.fixture
def server():
    """It always means the hall, if a lamp is asked for."""

    def answer(body, _):
        if body["messages"][0]["content"] == "Who are you?":
            return completion(content="Nobody.")
        function = {"name": "set_lamp", "arguments": '{"room":"Hall"}'}
        return completion(tool_calls=[{"id": "x", "type": "function", "function": function}])

    with openai(answer) as url:
        yield url


@pytest.fixture
def cases(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in LINES))
    return str(file)


def test_a_run_gives_a_table_and_a_report(server, cases, tmp_path, capsys):
    assert main([cases, "--openai", server, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    rows = {row[0]: row[1:] for row in map(str.split, said.out.splitlines()) if row}
    assert rows["all"][:6] == ["3", "66.7", "%", "20.8", "%", "to"]
    assert rows["one"][:2] == ["2", "50.0"]
    assert rows["split"][:2] == ["held-out", "1"]
    assert "valid calls: 2 of 2, 100.0 %" in said.out
    assert "no call where no tool fits (irrelevance): 1 of 1" in said.out
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (made["server"], made["ended"]) == (server, None)
    assert made["options"] == {"model": "", "max_tokens": 512, "timeout_s": 60.0}
    assert abs(datetime.now(UTC) - datetime.fromisoformat(made["made"])).total_seconds() < 300
    right = {"right": 2, "of": 3, "rate": 2 / 3, "low": 0.2077, "high": 0.9385}
    assert made["all"]["right"] == pytest.approx(right, abs=1e-4)
    assert made["all"]["strict"]["right"] == 1
    # Both calls are of the right tool, one with a wrong argument.
    assert (made["all"]["selection"]["right"], made["all"]["selection"]["of"]) == (2, 2)
    assert list(made["kinds"]) == ["one", "refuse"]
    assert list(made["splits"]) == ["held-out"]
    assert made["all"]["latency_ms"]["median"]["ms"] > 0
    hall, cellar, _ = made["cases"]
    assert (hall["right"], hall["strict"]) == (True, False)
    assert (cellar["why"], cellar["calls"]) == ("room is 'Hall'", [call(room="Hall")])


def test_the_page_is_whole_and_shows_what_was_asked_as_text(server, cases, tmp_path):
    main([cases, "--openai", server, "--out", str(tmp_path)])
    text = (tmp_path / "report.html").read_text()
    opened, loads = [], []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.extend([tag] if tag != "meta" and tag != "br" else [])
            loads.extend(name for name, _ in attrs if name in ("src", "href", "onload"))

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Reader().feed(text)
    assert (opened, loads) == ([], [])
    assert "<svg " in text
    assert "cellar" in text


def test_hostile_texts_stay_text(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(line("<i>", {"no_call": "refuse"}, kind="<u>", text="<script>")) + "\n")
    function = {"name": "<s>", "arguments": '{"<em>":1}'}
    with openai(lambda *_: completion(tool_calls=[{"function": function}])) as url:
        main([str(file), "--openai", url, "--out", str(tmp_path)])
    text = (tmp_path / "report.html").read_text()
    assert not [tag for tag in ("<i>", "<u>", "<script>", "<s>", "<em>") if tag in text]


def test_half_a_pair_of_utf_16_is_written_as_json_escapes_it(tmp_path, monkeypatch):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(line("a", {"calls": []}, text="half \ud83d")) + "\n")
    with openai(lambda *_: completion(content="and \udc4d")) as url:
        assert main([str(file), "--openai", url, "--out", str(tmp_path / "out")]) == 0
    (made,) = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["cases"]
    assert (made["asked"], made["content"]) == ("half \ud83d", "and \udc4d")
    assert (tmp_path / "out" / "report.html").exists()


def test_of_several_files_each_is_a_split(server, cases, tmp_path, capsys):
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps(line("attic", {"calls": [call(room=["hall"])]})) + "\n")
    assert main([cases, str(more), "--openai", server, "--out", str(tmp_path)]) == 0
    made = json.loads((tmp_path / "report.json").read_text())
    assert {name: one["cases"] for name, one in made["splits"].items()} == {"cases": 2, "held-out": 1, "more": 1}
    said = capsys.readouterr().out
    named = [row.split("  ")[0] for row in said.splitlines()[1:9]]
    assert named[:3] == ["cases: one", "cases: refuse", "cases: all"]
    assert named[-3:] == ["more: one", "more: all", "all"]
    report = str(tmp_path / "report.json")
    assert main(["--compare", report, report]) == 0
    assert "split more" in capsys.readouterr().out


def test_a_rate_below_the_least_fails_the_run(server, cases, capsys):
    assert main([cases, "--openai", server, "--min", "one=50%", "--min", "all=0.6"]) == 0
    assert main([cases, "--openai", server, "--min", "one=0.51", "--min", "refuse=1"]) == 1
    assert capsys.readouterr().err == "one: 50.0 % is less than 51.0 %\n"


def test_two_reports_are_compared(server, cases, tmp_path, capsys):
    main([cases, "--openai", server, "--out", str(tmp_path / "a")])
    with openai(lambda *_: completion(content="No.")) as url:
        main([cases, "--openai", url, "--out", str(tmp_path / "b")])
    capsys.readouterr()
    a, b = (str(tmp_path / name / "report.json") for name in "ab")
    assert main(["--compare", a, b]) == 0
    rows = {row[0]: row[1:] for row in map(str.split, capsys.readouterr().out.splitlines()) if row}
    assert rows["all"] == ["3", "66.7", "%", "33.3", "%", "1", "0", "1"]
    assert main(["--compare", a, cases]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_bfcls_files_are_evaluated(server, capsys):
    assert main(["--bfcl", str(BFCL), "--openai", server]) == 0
    said = capsys.readouterr()
    assert said.err == "not read: BFCL_v3_java.json\n"
    rows = {row[0]: row[1:] for row in map(str.split, said.out.splitlines()) if row}
    assert rows["live_relevance"][:2] == ["1", "100.0"]
    assert rows["irrelevance"][:2] == ["1", "0.0"]


@pytest.mark.parametrize(
    ("arguments", "what", "cure"),
    [
        ([], "there are no cases", "--bfcl DIR"),
        (["CASES"], "there is no server to ask", "--socket PATH"),
        (["CASES", "CASES", "--socket", "/x"], "the id hall stands in two files", "ids of their own"),
        (["CASES", "--socket", "/nowhere/s"], "/nowhere/s takes no connection", "rust-inference --socket"),
        (["CASES", "--openai", "http://x/v1", "--unconstrained"], "only for --socket", "leave it out"),
        (["CASES", "--openai", "http://x/v1", "--beside"], "--beside is only for --socket", "leave it out"),
        (["CASES", "--socket", "/x", "--program", "/none"], "--program is only for", "leave it out"),
        (["CASES", "--compare", "/x", "/y"], "asks nobody", "leave out cases"),
        (["CASES", "--openai", "http://x/v1", "--out", "CASES"], "cannot be written: File exists", "--out DIR"),
        (["CASES", "--openai", "http://x/v1", "--min", "two=1"], "--min two: no case", "all, one, refuse"),
        (["CASES", "--openai", "http://x/v1", "--png"], "written with the report", "--out DIR"),
        (["CASES", "--socket", "/x", "--unconstrained", "--program", "/none"], "/none cannot be started", "--program"),
    ],
)
def test_what_keeps_a_run_from_being_made_is_told_with_its_cure(cases, capsys, arguments, what, cure):
    assert main([cases if one == "CASES" else one for one in arguments]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: ")
    assert what in first
    assert second.startswith("  fix: ")
    assert cure in second


@pytest.mark.parametrize("wrong", [["--timeout", "0"], ["--max-tokens", "-1"], ["--min", "one=2"], ["--min", "0.5"]])
def test_a_wrong_flag_is_a_usage_error(cases, wrong):
    with pytest.raises(SystemExit) as caught:
        main([cases, *wrong])
    assert caught.value.code == 2


def test_a_server_that_refuses_every_case_is_not_rated(cases, tmp_path, capsys):
    with openai(lambda *_: (400, b'{"error": {"message": "no temperature"}}')) as url:
        assert main([cases, "--openai", url, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "answered no case; of hall it said: 400: no temperature" in said.err
    assert (said.out, list((tmp_path / "out").iterdir())) == ("", [])


def test_without_matplotlib_a_picture_is_refused_at_the_start(server, cases, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main([cases, "--openai", server, "--out", str(tmp_path / "out"), "--png"]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_with_matplotlib_a_picture_is_drawn(server, cases, tmp_path, monkeypatch):
    """Of ours, unless there is a real one."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        figure = types.SimpleNamespace(subplots=Axes, savefig=lambda path, dpi: path.write_bytes(b"\x89PNG"))
        module = types.SimpleNamespace(Figure=lambda **_: figure)
        monkeypatch.setitem(sys.modules, "matplotlib", module)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", module)
    assert main([cases, "--openai", server, "--out", str(tmp_path), "--png"]) == 0
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


class Axes:
    """Takes whatever is drawn."""

    def __getattr__(self, name):
        return lambda *_, **__: None
