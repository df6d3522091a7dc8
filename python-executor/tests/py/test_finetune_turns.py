"""What the generator's turns hold: results that are told, each in its turn."""

import random
from itertools import islice

import pytest

from callspan.finetune.data.families import read_families
from callspan.finetune.data.generate import Generator
from callspan.finetune.data.manners import decorate
from callspan.finetune.data.replies import show
from callspan.finetune.data.samples import as_openai
from callspan.finetune.data.tools import draw_tool, words
from callspan.finetune.data.turns.asked import Source, expect
from callspan.finetune.data.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(True)


def test_every_result_of_several_calls_is_told_in_its_turn(world):
    several = single = 0
    for sample in islice(Generator(world, 10), 400):
        for turn in (turn for turn in sample.turns if turn.kind == "answer"):
            results = [message["content"] for message in turn.messages if message["role"] == "tool"]
            several += len(results) > 1
            single += len(results) == 1
            for told in turn.about:
                assert told in turn.answer["content"]
            for result in results:
                assert any(show(value) in turn.about for value in result.values()), (results, turn.answer)
            ids = [one["tool_call_id"] for one in as_openai(turn.messages) if one["role"] == "tool"]
            assert ids == [f"call_{i}" for i in range(len(results))]
    assert several > single / 4


def test_after_several_calls_one_error_leaves_the_other_results_told(world):
    failed = [t for s in islice(Generator(world, 11), 600) for t in s.turns if t.kind == "error"]
    several = [turn for turn in failed if len([m for m in turn.messages if m["role"] == "tool"]) > 1]
    assert several
    for turn in several:
        results = [message["content"] for message in turn.messages if message["role"] == "tool"]
        assert [set(result) == {"error"} for result in results].count(True) == 1
        assert len(turn.about) > 1


def test_optional_switches_and_unasked_annotations_are_never_required(tmp_path):
    who, where = "arg who string\n  slot: person\n", "arg where string\n  slot: place\n  ask: Where?\n"
    text = f"== ring\nnames: ring\narg loud bool\n{who}{where}"
    file = tmp_path / "some.fam"
    file.write_text(text)
    (family,) = read_families(file)
    rng = random.Random(15)
    drawn = [draw_tool(family, rng) for _ in range(300)]
    assert {path for tool in drawn for path in tool.required} == {"where"}


def test_a_question_has_no_which_before_a_word_that_is_no_noun(tmp_path):
    file = tmp_path / "some.fam"
    city = "arg city! string city\n  as: to\n  ask: To which city?\n"
    file.write_text(f"== ring\nnames: ring\n{city}arg day! string\n  as: weekday\nvague: ring\n")
    (family,) = read_families(file)
    source = Source(World(True), random.Random(16))
    turns = [expect(source, draw_tool(family, source.rng), [], {}) for _ in range(100)]
    asked = {turn.answer["content"] for turn in turns if turn.kind == "ask"}
    assert asked == {"Which weekday? To which city?", "Which weekday?", "To which city?"}


def test_what_is_refused_is_for_no_declared_tool(world):
    """Near misses are wanted, but no other way to say what a declared tool is for."""
    near = refused = 0
    for sample in islice(Generator(world, 17), 400):
        names = [set(words(tool["name"]).split()) for tool in sample.tools]
        for turn in sample.turns:
            if turn.kind == "refuse" and (family := world.by_key.get(turn.origin)):
                refused += 1
                own = [frozenset(words(name).split()) for name in family.names]
                assert not any(name in map(set, own) for name in names)
                near += any(name & frozenset().union(*own) for name in names)
    assert near > refused / 10


def test_no_courtesy_stands_before_what_is_no_command():
    rng = random.Random(18)
    for _ in range(200):
        assert decorate("nobody may book me", rng).lower().startswith("nobody")
