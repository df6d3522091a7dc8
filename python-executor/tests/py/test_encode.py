"""Results: what is told as JSON, what is refused, and that no code of the tool runs meanwhile."""

import dataclasses
import datetime
import enum
import json
import sys
import zoneinfo

import numpy
import pandas
import pytest
from pydantic import BaseModel

from callspan.encode import MAX_BYTES, BadResult, encode


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int


class Model(BaseModel):
    name: str
    inner: Point | None = None


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (-7, "-7"),
        (2**70, str(2**70)),
        (1.5, "1.5"),
        (1.0, "1.0"),
        ('é"\n\x00', '"é\\"\\n\\u0000"'),
        ([1, (2, [])], "[1,[2,[]]]"),
        ({"b": 1, "a": {}}, '{"b":1,"a":{}}'),
        (datetime.date(2024, 2, 29), '"2024-02-29"'),
        (datetime.datetime(2024, 2, 29, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Oslo")), '"2024-02-29T01:00:00+01:00"'),
        (Point(1, [Point(2)]), '{"x":1,"y":[{"x":2,"y":null}]}'),
        (Slotted(1), '{"x":1}'),
        (Model(name="n", inner=Point(1)), '{"name":"n","inner":{"x":1,"y":null}}'),
        (Colour.RED, '"red"'),
    ],
)
def test_plain_values_become_json(value, text):
    assert encode(value) == text
    json.loads(text)


def test_a_shared_value_is_no_cycle():
    shared = [1]
    assert encode([shared, shared]) == "[[1],[1]]"


def test_depth_64_is_allowed_and_65_is_not():
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = [value]
        return value

    assert encode(nested(64)) == "[" * 64 + "1" + "]" * 64
    with pytest.raises(BadResult, match="deeper than 64"):
        encode(nested(65))
    with pytest.raises(BadResult, match="deeper than 64"):
        encode(nested(100_000))


def test_the_size_is_bounded_before_it_is_written():
    assert len(encode("x" * (MAX_BYTES - 2))) == MAX_BYTES
    for large in ("x" * MAX_BYTES, "é" * (MAX_BYTES // 2), [0] * MAX_BYTES, "\x00" * (MAX_BYTES // 4)):
        with pytest.raises(BadResult, match="larger than 1048576 bytes"):
            encode(large)
    bomb: list = []
    for _ in range(60):
        bomb = [bomb, bomb]
    with pytest.raises(BadResult, match="larger than"):
        encode(bomb)


def cycle():
    value: list = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "result is nan"),
        ([0.0, float("-inf")], r"result\[1\] is -inf"),
        (cycle(), r"result\[0\].* contains itself"),
        ({1: 2}, "a key of type int: keys must be str"),
        ({"a": {1, 2}}, "is a set, which has no JSON form; return a list"),
        (b"x", "is a bytes"),
        (1j, "is a complex"),
        (object(), "is a object"),
        (Point, "is a type"),
        (iter([]), "is a list_iterator"),
        (sys, "is a module"),
        ("\ud800", "half of a surrogate pair"),
        (10**5000, "integer too long"),
        (datetime.timedelta(1), "is a timedelta"),
        (numpy.float64(1), r"is a float64, which has no JSON form; return \.tolist\(\) of it"),
        ([numpy.ones(2)], r"result\[0\] is a ndarray, .*; return \.tolist\(\)"),
        (pandas.DataFrame(), r"is a DataFrame, .*; return \.to_dict\(\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_is_refused_by_name(value, why):
    with pytest.raises(BadResult, match=why):
        encode(value)


RAN: list[str] = []


def hostile(name):
    def run(*args, **kwargs):
        RAN.append(name)
        raise AssertionError(f"{name} ran")

    return run


SPECIAL = "str repr iter len getitem getattribute getattr bool eq format float int index reduce_ex dir contains"
PLAIN = "items keys values encode isoformat bit_length model_dump"
METHODS = {name: hostile(name) for name in [*(f"__{name}__" for name in SPECIAL.split()), *PLAIN.split()]}


class Meta(type):
    __getattribute__ = hostile("type.__getattribute__")
    __instancecheck__ = hostile("type.__instancecheck__")
    __subclasscheck__ = hostile("type.__subclasscheck__")
    __eq__ = hostile("type.__eq__")
    __hash__ = hostile("type.__hash__")
    mro = type.mro


class Zone(datetime.tzinfo, metaclass=Meta):
    utcoffset = hostile("utcoffset")
    dst = hostile("dst")
    tzname = hostile("tzname")


BASES = {str: ("x",), int: (1,), float: (1.0,), list: (), dict: (), tuple: (), datetime.date: (2024, 1, 1), object: ()}


@pytest.mark.parametrize("base", BASES)
def test_no_code_of_the_tool_runs_while_its_result_is_read(base):
    value = base.__new__(type.__new__(Meta, "Sub", (base,), dict(METHODS)), *BASES[base])
    RAN.clear()
    for wrapped in (value, [value], {"key": value}, Point(1, value)):
        with pytest.raises(BadResult) as caught:
            encode(wrapped)
        assert "is a Sub" in str(caught.value)
    assert RAN == []


def test_a_time_zone_of_the_tools_own_is_refused_unasked():
    RAN.clear()
    with pytest.raises(BadResult, match="is a datetime"):
        encode([datetime.datetime(2024, 1, 1, tzinfo=Zone())])
    assert RAN == []


def test_fields_are_read_past_properties_and_getattribute():
    @dataclasses.dataclass
    class Sly:
        x: int

    value = Sly(1)
    Sly.x = property(hostile("property"))
    Sly.__getattribute__ = hostile("__getattribute__")
    Sly.__dict__["__dataclass_fields__"]["y"] = object()
    RAN.clear()
    assert encode(value) == '{"x":1}'
    Sly.__dataclass_fields__ = hostile("fields")
    with pytest.raises(BadResult, match="is a Sly"):
        encode(value)
    assert RAN == []


def test_a_hostile_key_is_refused_without_being_asked():
    class Key(str):
        __eq__ = hostile("__eq__")
        __hash__ = str.__hash__
        __str__ = hostile("__str__")

    RAN.clear()
    with pytest.raises(BadResult, match="key of type Key"):
        encode({Key("a"): 1})
    assert RAN == []


def test_a_field_without_a_value_is_named():
    value = Point(1)
    del value.x
    with pytest.raises(BadResult, match=r"result\.x has no value"):
        encode(value)
    slotted = Slotted(1)
    del slotted.x
    with pytest.raises(BadResult, match=r"result\.x has no value"):
        encode(slotted)
