"""Numbers in English words."""

from __future__ import annotations

SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(number: int) -> str:
    """A whole number from 0 to 100 in words."""
    if number < 20:
        return SMALL[number]
    if number == 100:
        return "a hundred"
    tens = TENS[number // 10 - 2]
    return f"{tens}-{SMALL[number % 10]}" if number % 10 else tens
