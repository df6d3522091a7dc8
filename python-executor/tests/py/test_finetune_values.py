"""The values of training data: within their bounds, and of all that a model may have to copy."""

import random
import re
from collections import Counter
from datetime import date
from itertools import islice

import pytest

from callspan.finetune.data.generate import Generator
from callspan.finetune.data.invent import invent
from callspan.finetune.data.kinds import Kind, parse_kind
from callspan.finetune.data.shapes import INVENTED
from callspan.finetune.data.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(True)


def test_numbers_are_drawn_within_their_bounds(world):
    rng = random.Random(9)
    for low, high in ((0, 100), (5, 30), (1, 2000), (-20, 40), (0.001, 0.1), (0.25, 0.75)):
        for name in ("int", "num") if isinstance(low, int) else ("num",):
            for _ in range(300):
                number, said = world.values.draw(Kind(name, low=low, high=high), rng)
                assert low <= number <= high
                assert said


def test_digits_in_every_group_of_three_are_answered(world):
    """A tokenizer cuts numbers so; what hardly ever stands in an answer cannot be copied either."""
    found: Counter[str] = Counter()
    for sample in islice(Generator(world, 12), 2000):
        for turn in sample.turns:
            for digits in re.findall("[0-9]+", turn.completion()):
                found.update(digits[i : i + 3] for i in range(0, len(digits), 3))
    zeros = [f"{i:0{n}}" for n in (2, 3) for i in range(10 ** (n - 1))]
    assert sum(chunk in found for chunk in zeros) > 0.85 * len(zeros)
    assert sum(str(i) in found for i in range(1000)) > 900


def test_invented_dates_are_dates_and_words_are_more_than_the_pool_has(world):
    rng = random.Random(13)
    for _ in range(200):
        date.fromisoformat(invent("year-month-day", world.values.word, rng))
    assert {"code", "phone", "date", "time", "person", "message"} <= set(INVENTED)
    words = {world.values.word(rng) for _ in range(2000)}
    assert len(words) > 800
    assert len(words - set(world.values.words) - set(world.values.pools["word"])) > 200
    names = "".join(invent("Name", world.values.word, rng) for _ in range(500))
    assert len(set(re.findall(r"[^\x00-\x7f]", names))) > 30


def test_lists_have_as_many_items_as_they_need_and_none_twice_unless_meant(world):
    rng = random.Random(14)
    for _ in range(300):
        some, said = world.values.draw(parse_kind("list some weekday"), rng)
        assert len({day[:3] for day in some}) == len(some) >= 2
        assert all(day in said for day in some)
        twice, _ = world.values.draw(parse_kind("list repeated: oak | rose | ivy | elm"), rng)
        assert len(twice) == len(set(twice)) + 1 >= 3
    assert min(len(world.values.draw(parse_kind("list weekday"), rng)[0]) for _ in range(100)) == 1
