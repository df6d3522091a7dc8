"""The training data: families that read, sentences that mean what they say, and a split that keeps its word."""

import json
import random
from itertools import islice
from pathlib import Path

import pytest

from callspan.finetune.data import formats, natural, wire
from callspan.finetune.data.annotations import sentence
from callspan.finetune.data.families import HERE, Family, FamilyError, read_directory, read_families
from callspan.finetune.data.generate import Generator
from callspan.finetune.data.pools import read_pools
from callspan.finetune.data.requests import draw_request
from callspan.finetune.data.sides import held_out_family
from callspan.finetune.data.tools import draw_tool, words
from callspan.finetune.data.turns.after import dialogue
from callspan.finetune.data.turns.asked import Source
from callspan.finetune.data.world import World


@pytest.fixture(scope="module")
def worlds() -> dict[bool, World]:
    return {side: World(side) for side in (True, False)}


def families(text: str, tmp_path: Path) -> list[Family]:
    file = tmp_path / "some.fam"
    file.write_text(text, "utf-8")
    return read_families(file)


def test_families_have_keys_of_their_own_and_pools_that_exist():
    written = read_directory(HERE)
    keys = [f.key for f in (*written, *read_directory(HERE / "natural"))]
    assert len(keys) == len(set(keys)) > 900
    pools = read_pools(HERE / "pools")
    for family in written:
        for arg in family.args.values():
            kind = arg.kind.item or arg.kind
            assert not kind.pool or kind.pool in pools, f"{family.key}: {arg.path} draws from no pool, {kind.pool}"


def test_every_sentence_can_be_said(worlds):
    rng = random.Random(1)
    world = worlds[True]
    for family in world.written:
        params = {path: path for path in family.args}
        for phrase in (*family.says, *family.vagues, *family.multis):
            request = draw_request(family, phrase, params, world.values, rng)
            assert request is not None, f"{family.key}: {phrase.source}"
            assert request.text
            assert "{" not in request.text, f"{family.key}: {request.text}"
            if phrase in family.multis:
                assert len(request.values) > 1, f"{family.key}: {phrase.source}"


def test_values_of_a_call_stand_in_its_sentence(worlds):
    rng = random.Random(2)
    world = worlds[True]
    for family in world.written:
        params = {path: path for path in family.args}
        for phrase in family.says:
            request = draw_request(family, phrase, params, world.values, rng)
            literal = {slot.arg for slot in phrase.slots() if slot.value is not None}
            for path, value in request.values[0].items():
                if family.args[path].kind.kind == "string" and path not in literal:
                    assert value in request.text, f"{family.key}: {request.text!r} and {value!r}"


def test_the_same_seed_makes_the_same_samples(worlds):
    def drawn(seed: int) -> list[str]:
        samples = islice(Generator(worlds[True], seed), 40)
        return [s.prefix() + "".join(t.prompt() + t.completion() for t in s.turns) for s in samples]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_what_is_held_out_is_never_trained_on(worlds):
    trained, kept = ({f.key for f in worlds[side].written} for side in (True, False))
    assert trained
    assert kept
    assert not trained & kept
    for name, values in worlds[False].values.pools.items():
        other = worlds[True].values.pools[name]
        if len(values) + len(other) >= 20 and values != other:
            assert not set(values) & set(other), name
    for sample in islice(Generator(worlds[True], 5), 300):
        for turn in sample.turns:
            assert turn.origin not in kept


def test_what_is_trained_under_another_key_is_not_held_out(tmp_path):
    keys = [f"tool{i}" for i in range(100)]
    kept = [key for key in keys if held_out_family(key)][:4]
    trained = next(key for key in keys if not held_out_family(key))
    text = (
        f"== {trained}\nnames: ring_bell\nsay: ring it\nsay: chime in {{city}}\narg city string city\n"
        f"== {kept[0]}\nnames: toll, bell.ring\nsay: toll it\n"
        f"== {kept[1]}\nnames: strike\nnear: {trained}\nsay: strike it\n"
        f"== {kept[2]}\nnames: peal\nsay: Ring it\n"
        f"== {kept[3]}\nnames: knell\nsay: chime in {{town}}\nsay: knell in {{town}}\narg town string city\n"
    )
    families(text, tmp_path)
    (tmp_path / "pools").mkdir()
    (tmp_path / "pools" / "some.pool").write_text("== word\noak\n== city\nOslo\n", "utf-8")
    held = World(False, families=tmp_path)
    assert [(f.key, [say.source for say in f.says]) for f in held.written] == [(kept[3], ["knell in {town}"])]


def test_no_held_out_tool_has_a_name_that_is_trained_on(worlds):
    trained, kept = ({frozenset(words(n).split()) for f in worlds[s].written for n in f.names} for s in (True, False))
    assert len(kept) > 300
    assert not trained & kept


def test_samples_have_every_kind_and_calls_fit_their_tools(worlds):
    jsonschema = pytest.importorskip("jsonschema")
    kinds = set()
    for sample in islice(Generator(worlds[True], 6), 400):
        by_name = {tool["name"]: tool for tool in sample.tools}
        assert len(by_name) == len(sample.tools) <= 8
        for turn in sample.turns:
            kinds.add(turn.kind)
            for call in turn.answer.get("tool_calls", ()):
                made = call["function"]
                jsonschema.validate(made["arguments"], by_name[made["name"]]["parameters"])
                assert set(made["arguments"]) <= set(by_name[made["name"]]["parameters"]["properties"])
            if turn.kind == "ask":
                assert turn.about
    assert kinds == {"call", "parallel", "refuse", "ask", "answer", "error", "chat"}


FAMILY = """
== ring
names: ring_bell, bell.ring
about: Ring a bell
arg times! int 1..9
  as: times, count
arg loud bool
say: ring {times} times
say: ring {times} times{loud=true|, loud}
multi: ring {times#1} and then {times#2} times
vague: ring the bell
"""


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("arg times! int 1..9", "arg times! integer", "some.fam:5: 'integer' is no type"),
        ("arg times! int 1..9", "arg times! int", "some.fam:5: int needs its bounds"),
        ("say: ring {times} times\n", "say: ring {often} times\n", "{often}, which is no argument"),
        ("say: ring {times} times\n", "say: ring\n", "lacks the required times"),
        ("say: ring {times} times\n", "say: ring [{times}|] times\n", "lacks the required times"),
        ("{loud=true|, loud}", "{loud=yes|, loud}", "neither true nor false"),
        ("say: ring {times} times\n", "say: ring {times times\n", "some.fam:8: "),
        ("say: ring {times} times\n", "say: [ring {times} times\n", "brackets"),
        ("names: ring_bell", "names: ring bell", "is no tool's name"),
        ("names: ring_bell, bell.ring\n", "", "some.fam: ring: it has no names"),
        ("arg times! int 1..9", "arg times! int 9..1", "some.fam:5: the bounds 9..1 are the wrong way round"),
        ("say: ring {times} times\n", "say: ring {times=twice|twice}\n", "some.fam: ring: 'twice' is no whole number"),
        ("vague: ", "vauge: ", "some.fam:11: 'vauge' is no word"),
    ],
)
def test_a_family_that_breaks_the_format_is_told_with_its_line(tmp_path, old, new, why):
    families(FAMILY, tmp_path)
    assert old in FAMILY
    with pytest.raises(FamilyError) as told:
        families(FAMILY.replace(old, new, 1), tmp_path)
    assert why in str(told.value)


def test_what_a_tool_requires_is_asked_for(tmp_path, worlds):
    (family,) = families(FAMILY, tmp_path)
    rng = random.Random(7)
    for _ in range(50):
        tool = draw_tool(family, rng)
        assert tool.missing({}) == sorted(tool.required, key=list(family.args).index)
        assert tool.missing({"times": 2, "loud": True}) == []


def test_control_tokens_in_texts_are_refused():
    for text in ("say <escape>", "<end_of_turn>", "a<start_function_call>b"):
        with pytest.raises(wire.WireError):
            wire.user(text)
        with pytest.raises(wire.WireError):
            wire.call("f", {"x": text})


@pytest.mark.parametrize("shape", ["trl", "mobile-actions"])
def test_what_is_written_is_read_back_the_same(worlds, tmp_path, shape):
    samples = list(islice(Generator(worlds[True], 8), 60))
    file = tmp_path / "data.jsonl"
    assert formats.write(samples, file, shape) == sum(len(s.turns) for s in samples)
    whole = ["".join(formats.pair(example)) for example in formats.read(file)]
    assert whole == [s.prefix() + t.prompt() + t.completion() for s in samples for t in s.turns]


ASKED = {"role": "user", "content": "Ring"}
CALLED = {"role": "assistant", "tool_calls": [{"function": {"name": "ring", "arguments": "{}"}}]}
GOOD = {"tools": [{"name": "ring"}], "messages": [ASKED, CALLED]}


def saying(*messages: dict[str, object]) -> str:
    """A line like the good one, with other messages."""
    return json.dumps(GOOD | {"messages": messages})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "2: Expecting"),
        ("[]", "2: a line is a JSON object"),
        ("{}", "2: there is no 'messages'"),
        (saying(ASKED), "2: the last message is not the assistant's"),
        (json.dumps(GOOD | {"tools": []}), "2: messages[1] calls 'ring', which is not among the tools"),
        (saying({"role": "robot", "content": ""}), "the role 'robot'"),
        (saying({"role": "user", "content": "<escape>"}, CALLED), "control token"),
        (saying({"role": "tool", "content": "1"}, ASKED, CALLED), "no call waits for it"),
        (saying(ASKED, CALLED, ASKED, CALLED), "messages[2]: 1 calls before it have no result"),
        (saying(CALLED), "messages[0] is the assistant's, and answers nothing"),
        (saying(ASKED, ASKED, CALLED), "messages[1] is the user's, and the one before it has no answer"),
        (
            saying(ASKED, {"role": "system", "content": "Hi"}, CALLED),
            "messages[1] is the system's, which can only be the",
        ),
    ],
)
def test_a_line_that_breaks_the_format_is_told_and_the_rest_kept_only_if_asked(tmp_path, line, why):
    file = tmp_path / "data.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{line}\n{json.dumps(GOOD)}\n", "utf-8")
    with pytest.raises(formats.FormatError) as told:
        formats.read(file)
    assert "data.jsonl:2: " in str(told.value)
    assert why in str(told.value)
    report: list[str] = []
    assert len(formats.read(file, keep_going=True, report=report)) == 2
    assert len(report) == 1
    assert "data.jsonl:2: " in report[0]


def test_what_is_said_before_a_call_is_learned_and_read():
    said = [{"role": "user", "content": "Ring"}, CALLED | {"content": " At once. "}]
    tools = [{"name": "ring", "description": "Ring"}]
    call = "At once.<start_function_call>call:ring{}<end_function_call><start_function_response>"
    assert formats.pair(formats.conversation({"messages": said, "tools": tools}))[1] == call
    more = [*said, {"role": "tool", "content": "1"}, {"role": "assistant", "content": "Done"}]
    prompt, _ = formats.pair(formats.conversation({"messages": more, "tools": tools}))
    assert call in prompt


def test_recordings_of_sessions_are_examples(tmp_path):
    tools = [{"name": "ring", "parameters": '{"type":"object","properties":{"times":{"type":"integer"}}}'}]
    call = {"name": "ring", "arguments": '{"times":2}'}
    ask = {"chat": {"messages": [{"role": "user", "content": "Ring twice"}]}, "tools": tools}
    frames = [
        ("to_server", {"id": 1, "generate": ask}),
        ("to_server", {"id": 2, "generate": ask}),
        ("to_server", {"id": 3, "ping": {}}),
        ("to_client", {"id": 2, "done": {"finish_reason": "length", "content": "ha"}}),
        ("to_client", {"id": 1, "done": {"finish_reason": "tool_calls", "tool_calls": [call]}}),
    ]
    tapped = [
        {"time": "", "connection": 1, "direction": towards, "bytes": 1, "frame": frame} for towards, frame in frames
    ]
    file = tmp_path / "tap.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in tapped))
    (example,) = formats.read(file)
    assert formats.pair(example)[1] == wire.calls([("ring", {"times": 2})])


def test_data_sets_become_sentences_and_dialogues(tmp_path):
    """In the data sets' shapes, with sentences of our own."""
    data = tmp_path / "data"
    data.mkdir()

    def put(name: str, *rows: object) -> None:
        (data / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def turn(who: str, text: str, **frame: object) -> dict[str, object]:
        return {"who": who, "text": text, "frames": [{"service": "Weather_1", **frame}]}

    put(
        "clinc150.jsonl",
        {"split": "train", "intent": "oos", "text": "why is it so"},
        {"split": "train", "intent": "weather", "text": "will I get wet"},
    )
    put("nlu-home.jsonl", {"intent": "alarm_set", "text": "wake me at six", "entities": [["time", 11, 14, "six"]]})
    put("snips.jsonl", {"intent": "GetWeather", "split": "train", "parts": [["is it cold in "], ["Bergen", "city"]]})
    put("sgd-services.jsonl", {"service_name": "Weather_1", "splits": ["train"]})
    turns = [
        turn("u", "how warm is it?", intent="GetWeather", state={}),
        turn("s", "where?", acts=["REQUEST:city"]),
        turn("u", "Bergen, next Friday", intent="GetWeather", state={"city": "Bergen"}),
        turn("s", "cold", acts=[], call={"method": "GetWeather"}),
    ]
    anywhere = [
        turn("u", "is it cold? anywhere will do", intent="GetWeather", state={"city": "dontcare"}),
        turn("s", "which day?", acts=["REQUEST:date"]),
    ]
    put("sgd-dialogues.jsonl", {"turns": turns}, {"turns": anywhere})
    out = tmp_path / "natural.jsonl"
    assert natural.main(["--data", str(data), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {"foreign": "why is it so"} in rows
    assert any(row.get("say") == "will I get wet" for row in rows)
    assert any("=six|six}" in row.get("say", "") for row in rows)
    assert any("=Bergen|Bergen}" in row.get("say", "") for row in rows)
    assert [len(row["turns"]) for row in rows if "turns" in row] == [1, 3, 1]
    world = World(True, out)
    assert "sgd_Weather_1_GetWeather" in world.dialogues
    # Where any will do, nothing is asked, and nothing that is required left out of a call.
    world.dialogues["sgd_Weather_1_GetWeather"][:2] = []
    source = Source(world, random.Random(1))
    for _ in range(20):
        tool = draw_tool(world.by_key["sgd_Weather_1_GetWeather"], source.rng)
        assert (dialogue(source, tool) is None) == ("city" in tool.required)


def test_a_sentence_loses_nothing_that_no_argument_takes(tmp_path):
    ring = "== ring\nnames: ring\nbeside: bell\narg who string\n  slot: person, relation\n"
    ring, hum = families(f"{ring}== hum\nnames: hum\n", tmp_path)
    assert sentence(ring, [("ring ", ""), ("mom", "relation")]) == "ring {who=mom|mom}"
    assert sentence(ring, [("ring the ", ""), ("bell", "bell"), (" for ", ""), ("Ann", "person")])
    assert sentence(ring, [("ring at ", ""), ("six", "time")]) is None
    assert sentence(ring, [("ring ", ""), ("mom", "relation"), (" or ", ""), ("Ann", "person")]) is None
    assert sentence(hum, [("hum at ", ""), ("six", "time")]) == "hum at six"
