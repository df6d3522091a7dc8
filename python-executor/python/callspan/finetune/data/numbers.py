"""Numbers in English words."""

from __future__ import annotations

import re

SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def spell(number: int) -> str:
    """A whole number from 0 to 100 in words."""
    if number < 20:
        return SMALL[number]
    if number == 100:
        return "a hundred"
    tens = TENS[number // 10 - 2]
    return f"{tens}-{SMALL[number % 10]}" if number % 10 else tens


def read_number(text: str) -> int | None:
    """The whole number that a text spells, in digits or in words below a hundred: the sum of its words."""
    text = text.strip().lower().replace(",", "")
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    total = 0
    for word in re.split(r"[\s-]+", text):
        if word in SMALL:
            total += SMALL.index(word)
        elif word in TENS:
            total += 20 + 10 * TENS.index(word)
        elif word in ("a", "an"):
            total += 1
        else:
            return None
    return total
