"""`callspan.evaluate.match`: which calls are the expected ones."""

import pytest

from callspan.evaluate.match import difference, standard
from evaluated import LAMP, call

HALL = call(room=["hall", "the hall"], level=[30, ""])


@pytest.mark.parametrize(
    "given",
    [
        call(room="hall", level=30),
        call(room="The Hall", level=30.0),
        call(room="hall"),
        call(room="the_hall.", level=30),
    ],
)
def test_accepted_values_are_right_in_any_spelling(given):
    assert difference([given], [HALL], [LAMP]) == ""


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ([], "no calls instead of 1 call"),
        ([call(room="hall"), call(room="hall")], "2 calls instead of 1 call"),
        ([call("lamp", room="hall")], "no call of set_lamp that is right"),
        ([call(room="cellar")], "room is 'cellar'"),
        ([call(level=30)], "room is missing"),
        ([call(room="hall", level=31)], "level is 31"),
        ([call(room="hall", level="30")], "level is '30'"),
        ([call(room="hall", colour="red")], "colour was not expected"),
        ([call(room=None)], "room is None"),
        ([{"name": "set_lamp", "arguments": "{"}], "the arguments are no object"),
    ],
)
def test_what_is_wrong_is_named(given, what):
    assert difference(given, [HALL], [LAMP]) == what


def test_strictly_strings_are_the_same():
    assert difference([call(room="Hall")], [HALL], [LAMP], strict=True) == "room is 'Hall'"
    assert difference([call(room="hall", level=30.0)], [HALL], [LAMP], strict=True) == ""


def test_what_the_schema_requires_is_missing_even_where_it_may_be_left_out():
    assert difference([call()], [call(room=["hall", ""])], [LAMP]) == "room is missing"


def test_true_is_no_number():
    assert difference([call(room="hall", level=True)], [call(room=["hall"], level=[1])], [LAMP]) == "level is True"
    assert difference([call(room="hall", level=1)], [call(room=["hall"], level=[True])], [LAMP]) == "level is 1"


@pytest.mark.parametrize(
    ("accepted", "value", "good"),
    [
        ([["A", "B"]], ["a", "b"], True),
        ([["A", "B"]], ["b", "a"], False),
        ([["A", "B"], ["B", "A"]], ["b", "a"], True),
        ([[]], [], True),
        ([{"r": [255], "g": [0, ""]}], {"r": 255}, True),
        ([{"r": [255], "g": [0, ""]}], {"g": 0}, False),
        ([{"r": [255]}], {"r": 255, "b": 1}, False),
        ([{"in": [{"r": [1, 2]}]}], {"in": {"r": 2.0}}, True),
        ([{"list": [1, 2]}], {"list": [1, 2]}, True),
        ([[{"n": ["x"]}, {"n": ["y"]}]], [{"n": "X"}, {"n": "Y"}], True),
        ([[{"n": ["x"]}, {"n": ["y"]}]], [{"n": "X"}], False),
    ],
)
def test_lists_and_objects_are_compared_all_the_way_down(accepted, value, good):
    assert (difference([call("f", v=value)], [call("f", v=accepted)], []) == "") is good


def test_several_calls_may_come_in_any_order():
    hall, cellar = call(room=["hall"]), call(room=["cellar"])
    assert difference([call(room="cellar"), call(room="hall")], [hall, cellar], [LAMP]) == ""
    assert difference([call(room="hall"), call(room="hall")], [hall, cellar], [LAMP]) == "room is 'hall'"


def test_an_expected_call_leaves_the_one_that_another_needs():
    # The first expectation takes either; who takes the first that fits leaves nothing for the second.
    either, only = call(room=["hall", "cellar"]), call(room=["hall"])
    assert difference([call(room="hall"), call(room="cellar")], [either, only], [LAMP]) == ""


def test_strings_are_compared_as_bfcl_does():
    assert standard("St. John's-Rd, 5/7_*^") == 'stjohn"srd57'
