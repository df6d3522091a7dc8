"""The split: which families and values are for training, and which are kept from it to test with.

All sentences of a family are on its side. What has no family (small talk, requests that are for no tool) is parted by
its sentences.

A hash of the text decides, so that what is added later moves nothing from one side to the other.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

# One in so many is held out.
HELD_OUT = 10
# Mixed into the hash of families, so that the most everyday ones (an alarm, a timer, a light, the weather) are trained.
SALT = "family29:"


def held_out(text: str) -> bool:
    """Whether a text is kept from training: a value, or what the functions below make of other things."""
    return zlib.crc32(text.encode()) % HELD_OUT == 0


def held_out_family(key: str) -> bool:
    """Whether a family is kept from training."""
    return held_out(SALT + key)


def held_out_sentence(source: str) -> bool:
    """Whether a sentence that has no family is kept from training."""
    return held_out("say:" + source)


def of_side(values: Sequence[str], training: bool) -> Sequence[str]:
    """The values of one side; all of them where there are too few for two."""
    if len(values) < HELD_OUT * 2:
        return values
    return [value for value in values if held_out(value) != training] or values
