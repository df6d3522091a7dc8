"""Samples in the wire format about tools with invented names: a stand-in for the real generator, small and endless."""

import random
from collections.abc import Iterator

from callspan.finetune.scratch.packing import Sample, Turn

TRIGGER = "You are a model that can do function calling with the following functions"
SYLLABLES = [a + b for a in "bdklmnrst" for b in "aeiou"]


def samples(seed: int, worker: int) -> Iterator[Sample]:
    draw = random.Random(seed * 1000 + worker)
    while True:
        tools = [(draw.choice(["set", "get", "open"]), word(draw)) for _ in range(draw.randint(1, 4))]
        declared = "".join(
            f"<start_function_declaration>declaration:{verb}_{noun}{{description:<escape>{verb} the {noun}<escape>,"
            "parameters:{properties:{to:{description:<escape>Where to<escape>,type:<escape>STRING<escape>}},"
            "required:[<escape>to<escape>],type:<escape>OBJECT<escape>}}<end_function_declaration>"
            for verb, noun in tools
        )
        prefix = f"<bos><start_of_turn>developer\n{TRIGGER}{declared}<end_of_turn>\n"
        yield Sample(prefix, [turn(draw, *draw.choice(tools)) for _ in range(draw.randint(1, 5))])


def word(draw: random.Random) -> str:
    return "".join(draw.choice(SYLLABLES) for _ in range(draw.randint(2, 3)))


def turn(draw: random.Random, verb: str, noun: str) -> Turn:
    value = word(draw)
    said = draw.choice([f"{verb} the {noun} to {value}", f"please {verb} {noun} {value} 123"])
    return Turn(
        f"<start_of_turn>user\n{said}<end_of_turn>\n<start_of_turn>model\n",
        f"<start_function_call>call:{verb}_{noun}{{to:<escape>{value}<escape>}}<end_function_call>"
        "<start_function_response>",
        kind=verb,
    )
