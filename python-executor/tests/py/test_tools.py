"""The example tools, called as the executor calls them: what they answer and how they fail."""

import datetime
import json
import zoneinfo
from pathlib import Path

import pytest

from callspan import runtime
from callspan.runtime import ToolFailure

TOOLS = Path(__file__).parents[2] / "tools"
TABLE = "name,age,city\nAnn,31,Oslo\nBob,25,Bergen\nJoann,40,Oslo"


@pytest.fixture(autouse=True)
def _tools():
    for file in sorted(TOOLS.glob("*.py")):
        runtime.load_tool_file(str(file))


def test_the_examples_suit_a_small_model():
    declared = [tool.declaration() for tool, _ in runtime._tools.values()]
    assert len(declared) == 8
    for tool in declared:
        assert tool["description"]
        assert all(part["description"] and part["type"] for part in tool["parameters"]["properties"].values())


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        (
            "convert_units",
            {"value": 12, "from_unit": "km", "to_unit": "miles"},
            {"value": 7.456454307, "unit": "miles"},
        ),
        ("convert_units", {"value": 98.6, "from_unit": "°F", "to_unit": "celsius"}, {"value": 37.0, "unit": "celsius"}),
        ("convert_units", {"value": 0, "from_unit": "Kelvin", "to_unit": "F"}, {"value": -459.67, "unit": "F"}),
        ("convert_units", {"value": 1, "from_unit": "foot", "to_unit": "inches"}, {"value": 12.0, "unit": "inches"}),
        ("convert_units", {"value": 2, "from_unit": "GiB", "to_unit": "MiB"}, {"value": 2048.0, "unit": "MiB"}),
        ("convert_units", {"value": 90, "from_unit": "km/h", "to_unit": "m/s"}, {"value": 25.0, "unit": "m/s"}),
        ("add_days", {"date": "2026-11-21", "days": 90}, {"date": "2027-02-19", "weekday": "Friday"}),
        ("add_days", {"date": "2024-03-01", "days": -1}, {"date": "2024-02-29", "weekday": "Thursday"}),
        ("calculate", {"expression": "12 * (3 + 4)"}, 84),
        ("calculate", {"expression": "2^10 - 7 // 2 % 3 + -1"}, 1023),
        ("calculate", {"expression": "sqrt(16) + max(1, 2.5) + round(pi, 2)"}, 9.64),
        ("calculate", {"expression": "2 ** 100"}, 2**100),
        ("hash_text", {"text": "abc"}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("hash_text", {"text": "abc", "algorithm": "md5"}, "900150983cd24fb0d6963f7d28e17f72"),
        ("encode_base64", {"text": "é?>"}, "w6k/Pg=="),
        (
            "analyze_text",
            {"text": "The end.\nThe mother-in-law's end!"},
            {
                "words": 5,
                "characters": 33,
                "sentences": 2,
                "lines": 2,
                "most_common": "the",
                "mean_word_length": 5.4,
            },
        ),
        ("analyze_text", {"text": ""}, {"words": 0, "characters": 0, "sentences": 0, "lines": 0}),
        ("query_table", {"table": TABLE, "query": "name where age > 30"}, [{"name": "Ann"}, {"name": "Joann"}]),
        ("query_table", {"table": TABLE, "query": "mean age where city = Oslo"}, 35.5),
        ("query_table", {"table": TABLE, "query": "COUNT where city != 'Oslo' AND age <= 25"}, 1),
        (
            "query_table",
            {"table": TABLE, "query": "* where name contains ann and age > 35"},
            [{"name": "Joann", "age": 40, "city": "Oslo"}],
        ),
        ("query_table", {"table": '[{"a": 1}, {"a": 2.5}]', "query": "sum a"}, 3.5),
        ("query_table", {"table": "id\n007", "query": "id"}, [{"id": "007"}]),
    ],
)
def test_answers(call, name, arguments, result):
    assert call(name, **arguments) == result


def test_the_time_in_a_city(call):
    before = datetime.datetime.now(zoneinfo.ZoneInfo("Asia/Tokyo")).replace(second=0, microsecond=0)
    answer = call("get_time", city="Tokyo")
    after = datetime.datetime.now(zoneinfo.ZoneInfo("Asia/Tokyo"))
    assert answer["zone"] == "Asia/Tokyo"
    told = datetime.datetime.fromisoformat(f"{answer['date']}T{answer['time']}+09:00")
    assert before <= told <= after
    assert call("get_time", city="new york")["zone"] == "America/New_York"
    assert call("get_time", city="Europe/Oslo")["zone"] == "Europe/Oslo"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "convert_units",
            {"value": 1, "from_unit": "kilometrs", "to_unit": "m"},
            "unknown unit kilometrs; near it",
        ),
        ("convert_units", {"value": 1, "from_unit": "florps", "to_unit": "m"}, "unknown unit florps"),
        ("convert_units", {"value": 1, "from_unit": "km", "to_unit": "kg"}, "km measures length and kg measures mass"),
        ("get_time", {"city": "Osloo"}, "unknown city Osloo; near it: Europe/Oslo"),
        ("get_time", {"city": "Narnia"}, "unknown city Narnia"),
        ("add_days", {"date": "2026-01-01", "days": 10**9}, "is outside the years 1 to 9999"),
        ("add_days", {"date": "tomorrow", "days": 1}, "`date`: Input should be a valid date"),
        ("calculate", {"expression": "10 / 0"}, "division by zero"),
        ("calculate", {"expression": "9**9**9"}, "`9 ** 387420489` is too large"),
        ("calculate", {"expression": "10.0**400"}, "the result is too large"),
        ("calculate", {"expression": "(-8)**0.5"}, "the result is not a real number"),
        ("calculate", {"expression": "((1)"}, "not an arithmetic expression"),
        ("calculate", {"expression": "__import__('os')"}, "`__import__('os')` is not arithmetic; known functions: abs"),
        ("calculate", {"expression": "(1).real"}, "is not arithmetic"),
        ("calculate", {"expression": "True + 1"}, "`True` is not arithmetic"),
        ("calculate", {"expression": "1" * 1001}, "longer than 1000 characters"),
        ("query_table", {"table": TABLE, "query": "salary"}, "no column `salary`; the table has name, age, city"),
        ("query_table", {"table": TABLE, "query": "max name"}, "column `name` holds text, so it has no max"),
        ("query_table", {"table": TABLE, "query": "max"}, "`max` needs one column"),
        ("query_table", {"table": TABLE, "query": "name where old"}, "`old` is not a condition such as"),
        ("query_table", {"table": TABLE, "query": "name where age > x"}, "`age > x` compares text with a number"),
        ("query_table", {"table": TABLE, "query": "sum age where city = Rome"}, "no rows are left"),
        ("query_table", {"table": "a,b\n1", "query": "a"}, "line 2 of the table does not have 2 cells"),
        ("query_table", {"table": "", "query": "a"}, "the table is empty"),
        ("query_table", {"table": "[1]", "query": "a"}, "a JSON table is a list of objects"),
        ("query_table", {"table": "[", "query": "a"}, "the table is not JSON"),
    ],
)
def test_friendly_errors(name, arguments, message):
    with pytest.raises(ToolFailure) as caught:
        runtime.call_tool(name, json.dumps(arguments))
    assert message in caught.value.message
