"""The tools, within the test's own process, where one can debug them, and as they are called in production."""

from callspan.testing import call

from tools.alarm import set_alarm
from tools.bill import split_bill


def test_an_alarm_is_set():
    assert call(set_alarm, hour=7).value == {"set": "07:00", "label": "wake up"}


def test_there_is_no_hour_31():
    assert call(set_alarm, hour=31).outcome == "invalid_arguments"


def test_a_bill_is_split():
    assert call(split_bill, total=100, people=3).value == {"each": 33.33}


def test_nobody_pays_nothing():
    assert call(split_bill, total=100, people=0).error.message == "nobody is there to pay"


def test_all_of_it_in_the_sandbox(sandbox):
    assert sandbox.call("set_alarm", hour=7, label="tea").value == {"set": "07:00", "label": "tea"}
    assert sandbox.call("set_alarm", hour="seven").outcome == "invalid_arguments"
    assert sandbox.call("split_bill", total=100, people=3).value == {"each": 33.33}
    assert sandbox.call("split_bill", total=100, people=0).error.message == "nobody is there to pay"
