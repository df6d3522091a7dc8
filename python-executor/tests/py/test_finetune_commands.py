"""The generator's commands: what they write, and what they say of what they cannot read or write."""

import gzip
import json
from pathlib import Path

import pytest

from callspan.evaluate import cases as evaluate
from callspan.finetune.data import formats, generate, heldout, natural
from callspan.finetune.data.families import HERE, read_directory

COMMANDS = {"generate": generate.main, "heldout": heldout.main, "natural": natural.main}


def converted(out: Path, *, dialogues: bool = True) -> Path:
    """What the conversion of data sets could have written, with sentences of our own."""
    rows: list[dict] = []
    for family in read_directory(HERE / "natural"):
        if family.key.startswith("clinc_"):
            rows += [{"family": family.key, "say": f"what about {family.key}, number {i}"} for i in range(40)]
        elif family.key.startswith("sgd_") and dialogues:
            turns = [["u", f"I need {family.key}"]]
            rows.append({"family": family.key, "turns": turns, "values": {}, "seen": False})
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return out


@pytest.mark.parametrize("shape", formats.SHAPES)
def test_generate_writes_so_many_conversations_that_are_read_back(tmp_path, capsys, shape):
    out = tmp_path / "data.jsonl"
    assert generate.main(["--count", "50", "--seed", "3", "--shape", shape, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 50 conversations\n"
    assert len(formats.read(out)) == len(out.read_text("utf-8").splitlines()) == 50
    assert ("metadata" in json.loads(out.read_text("utf-8").splitlines()[0])) == (shape == "mobile-actions")


def test_generate_repeats_itself_by_its_seed(tmp_path):
    def written(name: str, *more: str) -> bytes:
        assert generate.main(["--count", "30", "--out", str(tmp_path / name), *more]) == 0
        return (tmp_path / name).read_bytes()

    assert written("a") == written("b", "--seed", "0")
    assert written("a") != written("c", "--seed", "1")
    assert written("a") != written("d", "--natural", str(converted(tmp_path / "natural.jsonl")))


def test_heldout_writes_so_many_cases_of_each_kind(tmp_path, capsys):
    out = tmp_path / "cases.jsonl"
    assert heldout.main(["--each", "6", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 6 one, 6 several, 6 parallel, 6 refuse, 6 ask, 1 answer, 1 error\n"
    cases = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len({case["id"] for case in cases}) == len(cases) == 32


def test_whatever_heldout_writes_the_evaluation_reads(tmp_path):
    out = tmp_path / "cases.jsonl"
    assert heldout.main(["--each", "300", "--out", str(out)]) == 0
    assert len(evaluate.read(out)) == 1600


def test_an_article_belongs_to_a_name_or_not():
    assert heldout.accepted("Aegean", "What's the sea like in the Aegean?") == ["Aegean", "the Aegean"]
    assert heldout.accepted("the dairy cows", "Bring the dairy cows in") == ["the dairy cows", "dairy cows"]
    assert heldout.accepted(["a tent", "rope"], "") == [["a tent", "rope"], ["tent", "rope"]]
    assert heldout.accepted("Aegean", "in Aegeans") == ["Aegean"]
    assert heldout.accepted(7, "the 7") == [7]


def test_heldout_cases_of_data_sets_are_of_no_written_family(tmp_path):
    out = tmp_path / "cases.jsonl"
    given = converted(tmp_path / "natural.jsonl")
    assert heldout.main(["--each", "6", "--natural", str(given), "--out", str(out)]) == 0
    families = {json.loads(line)["family"] for line in out.read_text("utf-8").splitlines()}
    assert families <= {family.key for family in read_directory(HERE / "natural")} | {"foreign"}


def test_heldout_gives_up_on_cases_that_do_not_come(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(heldout, "PATIENCE", 100)
    given = converted(tmp_path / "natural.jsonl", dialogues=False)
    assert heldout.main(["--each", "6", "--natural", str(given), "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "error: 100 samples have not one more case of: ask\n"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "what", "fix"),
    [
        (["--out", "there"], "there is a directory", "name a file in it: --out there/data.jsonl"),
        (["--out", "nowhere/x"], "nowhere is no directory", "mkdir -p nowhere"),
    ],
)
def test_a_place_to_write_that_is_none_is_told_before_the_work(
    tmp_path, capsys, monkeypatch, command, arguments, what, fix
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "data").mkdir()
    more = ["--data", "data"] if command == "natural" else []
    assert COMMANDS[command]([*more, *arguments]) == 2
    assert capsys.readouterr().err == f"error: {what}\n  fix: {fix}\n"


@pytest.mark.parametrize("command", ["generate", "heldout"])
@pytest.mark.parametrize(
    ("text", "status", "what"),
    [
        (None, 2, "natural.jsonl is not there\n  fix: write it with python -m callspan.finetune.data.natural"),
        ("{\n", 1, "error: natural.jsonl:1: Expecting"),
        ("[]\n", 1, "error: natural.jsonl:1: a line is a JSON object"),
        ('{"foreign":"why"}\n{"say":"hi"}\n', 1, "error: natural.jsonl:2: there is no 'family'"),
        ('{"family":"clinc_weather","say":"in {city=Rome|Rome}"}\n', 1, "clinc_weather has no argument 'city'"),
        ('{"family":"clinc_weather","say":"in {city"}\n', 1, "natural.jsonl:1: `in {city`"),
    ],
)
def test_a_converted_file_that_is_none_is_told(tmp_path, capsys, command, text, status, what):
    file = tmp_path / "natural.jsonl"
    if text is not None:
        file.write_text(text, "utf-8")
    assert COMMANDS[command](["--natural", str(file), "--out", str(tmp_path / "out")]) == status
    told = capsys.readouterr().err
    assert what in told
    assert told.startswith("error: ")


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("clinc150.jsonl", b'{"text":"hi"}\n', "clinc150.jsonl:1: there is no 'intent'"),
        ("nlu-home.jsonl", b'{"intent":"alarm_set","text":"x","entities":[["time"]]}\n', "nlu-home.jsonl:1: "),
        ("snips.jsonl", b"\xff\n", "snips.jsonl: 'utf-8' codec"),
        ("snips.jsonl.gz", b"no gzip", "snips.jsonl.gz: Not a gzipped file"),
        ("snips.jsonl.gz", gzip.compress(b'{"intent":"x","parts":[]}\n' * 99)[:-9], "Compressed file ended"),
        ("sgd-dialogues.jsonl", b'{"turns":[]}\n', "has sgd-dialogues and no sgd-services"),
        ("other.jsonl", b"{}\n", "holds none of the data sets"),
    ],
)
def test_a_data_set_of_another_shape_is_told(tmp_path, capsys, name, content, what):
    (tmp_path / name).write_bytes(content)
    assert natural.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert what in told


def test_a_directory_of_data_sets_that_is_none_is_told(tmp_path, capsys):
    assert natural.main(["--data", str(tmp_path / "gone"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'gone'} is no directory\n  fix: ")


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_a_count_is_at_least_one(capsys, tmp_path, count):
    with pytest.raises(SystemExit) as ended:
        generate.main([f"--count={count}", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert f"{count!r} is not one, two, three" in capsys.readouterr().err
