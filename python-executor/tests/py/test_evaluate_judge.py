"""`callspan.evaluate.judge`: verdicts on prose, validity, and what the figures of a sample are worth."""

import math

import pytest

from callspan.evaluate.intervals import mcnemar, quantile, quantile_interval, wilson
from callspan.evaluate.judge import Reply, judge
from callspan.evaluate.report import percent
from evaluated import call, case

CALL = {"calls": [call(room=["hall"])]}
REFUSE, ASK = {"no_call": "refuse"}, {"no_call": "ask", "about": ["fromRoom"]}
ANSWER = {"answer": ["21", ["cloudy", "overcast"]]}


@pytest.mark.parametrize(
    ("expect", "reply", "right", "strict"),
    [
        (CALL, Reply(calls=[call(room="hall")]), True, True),
        (CALL, Reply(calls=[call(room="Hall")]), True, False),
        (CALL, Reply(content="Which room?"), False, False),
        ({"calls": "any"}, Reply(calls=[call(room="x")]), True, True),
        ({"calls": "any"}, Reply(content="No."), False, False),
        ({"calls": []}, Reply(content="No."), True, True),
        (REFUSE, Reply(content="I cannot do that."), True, True),
        (REFUSE, Reply(), True, False),
        (REFUSE, Reply(calls=[call(room="hall")]), False, False),
        (ASK, Reply(content="Which room should I use?"), True, True),
        (ASK, Reply(content="Please tell me more"), True, False),
        (ASK, Reply(content="I cannot do that."), False, False),
        (ASK, Reply(content="Which room?", calls=[call(room="hall")]), False, False),
        (ANSWER, Reply(content="It is 21 degrees and Overcast."), True, False),
        (ANSWER, Reply(content="It is 21 degrees and overcast."), True, True),
        (ANSWER, Reply(content="It is 2100 and cloudy."), False, False),
    ],
)
def test_each_expectation_is_judged_by_what_can_be_told(expect, reply, right, strict):
    verdict = judge(case(expect), reply)
    assert (verdict.right, verdict.strict) == (right, strict), verdict.why
    assert bool(verdict.why) is not right


def test_a_failure_must_not_be_told_as_a_success():
    expect = {"answer": ["no such process"]}
    assert judge(case(expect, "error"), Reply(content="Done, no such process has been found")).right
    assert not judge(case({"answer": ["812"]}, "error"), Reply(content="Process 812 has been ended.")).right
    assert judge(case({"answer": ["812"]}, "error"), Reply(content="812 could not be ended.")).right


def test_calls_are_valid_by_their_schema():
    given = [call(room="hall"), call(room=7), call("other"), call(level=1), {"name": "set_lamp", "arguments": "x"}]
    assert judge(case(CALL), Reply(calls=given)).valid == [True, False, False, False, False]


def test_a_call_that_was_held_back_is_one_that_is_not_valid():
    verdict = judge(case(CALL), Reply(rejected="at byte 3: unknown function"))
    assert (verdict.right, verdict.valid, verdict.why) == (False, [False], "at byte 3: unknown function")


def test_no_answer_is_never_right():
    assert not judge(case(REFUSE), Reply(error="no answer within 1 s")).right


# The last as Newcombe's table of methods has it: Stat. Med. 17 (1998) 857.
@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.27753), (5, 10, 0.23659, 0.76341), (10, 10, 0.72247, 1.0), (81, 263, 0.25527, 0.36616)],
)
def test_wilson(right, of, low, high):
    assert wilson(right, of) == pytest.approx((low, high), abs=2e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_quantile_lies_between_order_statistics():
    values = [float(n) for n in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.95)) == (50, 95)
    # The textbook's ranks for the median of a hundred.
    assert quantile_interval(values, 0.5) == (40, 61)
    assert quantile_interval([7.0], 0.5) == (7, 7)
    assert math.isnan(quantile([], 0.5))
    assert all(math.isnan(end) for end in quantile_interval([], 0.95))


def test_mcnemar_is_the_sign_test_of_what_differs():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(400, 600) < 1e-9


@pytest.mark.parametrize(
    ("right", "of", "said"),
    [
        (0, 5000, "0.0 %"),
        (1, 5000, "0.02 %"),
        (1, 3, "33.3 %"),
        (4999, 5000, "99.98 %"),
        (10**7 - 1, 10**7, "99.99999 %"),
        (5000, 5000, "100.0 %"),
    ],
)
def test_only_all_is_all_and_only_nothing_nothing(right, of, said):
    assert percent(right / of) == said
