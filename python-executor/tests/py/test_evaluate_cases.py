"""`callspan.evaluate.cases` and `bfcl`: what a file of cases says, and where it is wrong."""

import collections
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from callspan.evaluate import bfcl, cases, schemas
from callspan.evaluate.errors import Trouble
from evaluated import LAMP, call, line

SETS = Path(__file__).parents[2] / "eval"
BFCL = Path(__file__).parents[1] / "data" / "bfcl"
GOOD = line("a", {"calls": [call(room=["hall"])]})


def tool(**properties):
    """The lamp, with other parameters."""
    return {"name": "set_lamp", "parameters": {"properties": properties}}


def test_the_frozen_set_is_as_it_was():
    """Measured on another set, figures would compare with nothing that was measured before."""
    text = (SETS / "hand.jsonl").read_bytes()
    assert hashlib.sha256(text).hexdigest() == HAND


HAND = "6d13cb43687bf843b4b1dfa212d887f72c57ac0d998fb79f20a751d854ff4a62"


@pytest.mark.parametrize(
    ("name", "counts"), [("hand", [50, 50, 20, 15, 20, 15, 7, 3]), ("dev", [25, 25, 12, 8, 10, 6, 3, 1])]
)
def test_the_sets_have_the_cases_that_they_should(name, counts):
    read = cases.read(SETS / f"{name}.jsonl")
    assert list(collections.Counter(case.kind for case in read).values()) == counts


def test_no_tool_and_no_sentence_of_one_set_is_in_the_other():
    hand, dev = (cases.read(SETS / f"{name}.jsonl") for name in ("hand", "dev"))
    for of in (lambda case: {tool["name"] for tool in case.tools}, lambda case: {case.messages[0]["content"]}):
        assert not set.union(*map(of, hand)) & set.union(*map(of, dev))


def test_earlier_calls_are_read_in_openais_words_as_well(tmp_path):
    function = {"name": "set_lamp", "arguments": '{"room":"hall"}'}
    told = {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "type": "function", "function": function}]}
    text = json.dumps(GOOD | {"messages": [*GOOD["messages"], told], "tools": [{"type": "function", "function": LAMP}]})
    (tmp_path / "a.jsonl").write_text(text + "\n\n")
    (case,) = cases.read(tmp_path / "a.jsonl")
    assert case.messages[1]["tool_calls"] == [{"id": "x", "name": "set_lamp", "arguments": {"room": "hall"}}]
    assert case.tools == [LAMP]


DEEP = json.loads('{"items":' * 400 + "{}" + "}" * 400)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ("{", "Expecting property name"),
        ("[]", "a case is a JSON object"),
        ('{"id": ' + "7" * 5000 + "}", "Exceeds the limit"),
        ("[" * 200_000, "line 2: "),
        (json.dumps(GOOD | {"id": 7}), "`id` is no string"),
        ('{"id": "b"}', "`kind` is missing"),
        (json.dumps(GOOD), "the id a stands in line 1 already"),
        (json.dumps(GOOD | {"id": "b", "messages": []}), "`messages` is empty"),
        (json.dumps(GOOD | {"id": "b", "tools": [LAMP, LAMP]}), "two tools have the same name"),
        (json.dumps(GOOD | {"id": "b", "tools": [{"name": "f", "parameters": {"type": "dict"}}]}), "no JSON Schema"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"pattern": r"\p{L}"})]}), "is not a 'regex'"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"$ref": "#/$defs/x"})]}), "#/$defs/x is nowhere in it"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"$ref": "http://127.0.0.1:9/x"})]}), "is nowhere in it"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"$dynamicRef": "#x"})]}), "#x is nowhere in it"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"$ref": "#/properties/x"})]}), "/x leads back to itself"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x={"anyOf": [{"$ref": "#/properties/x"}]})]}), "back to itself"),
        (json.dumps(GOOD | {"id": "b", "tools": [tool(x=DEEP)]}), "nested too deep"),
        (json.dumps(GOOD | {"id": "b", "messages": [{"role": "assistant", "tool_calls": [7]}]}), "is no object"),
        (
            json.dumps(GOOD | {"id": "b", "messages": [{"role": "assistant", "tool_calls": [{"function": 7}]}]}),
            "the `function` of a call",
        ),
        (json.dumps(line("b", {})), "`expect` has one of calls, no_call, answer"),
        (json.dumps(line("b", {"calls": [call("f")]})), "the expected call f is of no tool of this case"),
        (json.dumps(line("b", {"calls": [call(room="hall")]})), "the argument room of set_lamp is no list"),
        (json.dumps(line("b", {"no_call": "prose"})), "`no_call` is refuse or ask"),
        (json.dumps(line("b", {"answer": [7]})), "`answer` holds strings"),
    ],
)
def test_a_broken_line_is_told_with_its_number(tmp_path, broken, what):
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{broken}\n")
    with pytest.raises(Trouble) as caught:
        cases.read(file)
    assert "line 2: " in caught.value.what
    assert what in caught.value.what


def test_a_line_ends_where_json_lines_do(tmp_path):
    """JSON has U+2028 and its like in strings as they are."""
    text = "a\u2028b\x85c"
    (tmp_path / "a.jsonl").write_text(json.dumps(line("a", {"calls": []}, text=text), ensure_ascii=False) + "\r\n")
    (case,) = cases.read(tmp_path / "a.jsonl")
    assert case.messages[0]["content"] == text


def test_schemas_that_refer_to_themselves_are_read():
    schema = {"$defs": {"room": {"$anchor": "r"}}, "properties": {"a": {"$ref": "#/$defs/room"}, "b": {"$ref": "#r"}}}
    assert (
        cases.from_json(GOOD | {"tools": [LAMP, {"name": "f", "parameters": schema}]}).tools[1]["parameters"] == schema
    )


def test_a_schema_of_itself_holds_of_values_and_not_of_what_is_too_deep():
    """A list of lists: what refers to itself one level down is no loop."""
    schema = {"type": "array", "items": {"$ref": "#"}, "allOf": [{"minItems": 0}]}
    assert schemas.fault(schema) == ""
    assert schemas.valid([[], [[]]], schema)
    assert not schemas.valid([[7]], schema)
    assert not schemas.valid(json.loads("[" * 900 + "]" * 900), schema)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Trouble, match="nothing cannot be read"):
        cases.read(tmp_path / "nothing")


def test_bfcls_files_become_cases_in_json_schemas_words():
    read, unread = bfcl.read(BFCL)
    assert unread == ["BFCL_v3_java.json"]
    by_id = {case.id: case for case in read}
    area, path = by_id["simple_0"], by_id["simple_1"]
    assert area.tools[0]["name"] == area.expect["calls"][0]["name"] == "geometry_triangle_area"
    assert area.tools[0]["parameters"]["properties"]["base"] == {"type": "number", "description": "Base"}
    assert area.tools[0]["parameters"]["type"] == "object"
    properties = path.tools[0]["parameters"]["properties"]
    assert properties["points"]["items"] == {"type": "array", "items": {"type": "number"}}
    assert properties["style"]["type"] == "object"
    assert properties["note"]["type"] == "string"
    assert [case.split for case in read] == ["non_live", "live", "live", *["non_live"] * 4]
    assert by_id["irrelevance_0"].expect == {"no_call": "refuse"}
    assert by_id["live_relevance_0"].expect == {"calls": "any"}


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("BFCL_v3_simple.json", "{", "BFCL_v3_simple.json, line 1: Expecting property"),
        ("BFCL_v3_simple.json", '{"id": "x"}', "line 1: a case of BFCL's is an object"),
        ("BFCL_v3_simple.json", '{"id": "x", "question": [], "function": []}', "possible_answer/ has none for x"),
        ("possible_answer/BFCL_v3_simple.json", '{"id": "simple_0"}', "line 1: no `id` with a list `ground_truth`"),
        ("possible_answer/BFCL_v3_simple.json", '{"id": [], "ground_truth": []}', "line 1: no `id` with a list"),
        (
            "possible_answer/BFCL_v3_simple.json",
            '{"id": "simple_0", "ground_truth": [7]}',
            "a ground truth of simple_0",
        ),
    ],
)
def test_a_broken_file_of_bfcls_is_told_with_its_line(tmp_path, file, text, what):
    shutil.copytree(BFCL, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_text(text)
    with pytest.raises(Trouble) as caught:
        bfcl.read(tmp_path)
    assert what in caught.value.what


def test_a_directory_without_bfcls_files_is_told(tmp_path):
    with pytest.raises(Trouble, match="no file of BFCL's"):
        bfcl.read(tmp_path)
