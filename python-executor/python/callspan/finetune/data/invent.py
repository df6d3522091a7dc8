"""Makes values up in shapes such as `Name word-9`, so that copying wins over remembering.

In a shape `Name`, `word`, `WORD` and `ext` (a file's ending) are drawn, each X is a letter, each 0 a digit, 999 a
number of up to three digits, `hex` six hexadecimal digits; `year`, `month`, `day`, `hour` and `minute` are as in dates.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

from callspan.finetune.data.families import Family
from callspan.finetune.data.phrases import SLOT
from callspan.finetune.data.shapes import EXTENSIONS, SYLLABLES

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Letters with accents, and some of other scripts: whoever copies bytes has to have seen them.
ACCENTS = "".join(c for c in map(chr, range(0xE0, 0x17F)) if c.isalpha() and c.islower())
SCRIPTS = [
    [chr(i) for i in range(*ends)]
    for ends in ((0x3B1, 0x3C2), (0x430, 0x450), (0x3042, 0x3090), (0x4E00, 0x9000), (0x1F600, 0x1F640))
]
# What of a date or time is written with two digits, and the bounds of each.
BOUNDS = {"month": (1, 12), "day": (1, 28), "hour": (0, 23), "minute": (0, 59)}
PIECE = re.compile(r"Name|word|WORD|ext|hex|year|month|day|hour|minute|9+|0+|X+|.")


def invent(shape: str, words: Callable[[random.Random], str], rng: random.Random) -> str:
    """A value of a shape: `words` draws one, names, numbers and letters are made up, all else stays as it is."""
    return "".join(_piece(part, words, rng) for part in PIECE.findall(shape))


def _piece(part: str, words: Callable[[random.Random], str], rng: random.Random) -> str:
    if part in BOUNDS:
        return f"{rng.randint(*BOUNDS[part]):02}"
    if part == "Name":
        return _name(words, rng)
    if part in ("word", "WORD"):
        return words(rng) if part == "word" else words(rng).upper()
    if part == "ext":
        return rng.choice(EXTENSIONS)
    if part == "hex":
        return "".join(rng.choice("0123456789abcdef") for _ in range(6))
    if part == "year":
        return str(rng.randint(1900, 2099))
    if part[0] == "9":
        return str(rng.randint(1, 10 ** rng.randint(1, len(part)) - 1))
    if part[0] == "0":
        # Zeros in front are rare in life, and have to be copied all the same.
        first = "0" if rng.random() < 0.3 else rng.choice("0123456789")
        return first + "".join(rng.choice("0123456789") for _ in part[1:])
    return "".join(rng.choice(LETTERS) for _ in part) if part[0] == "X" else part


def _name(words: Callable[[random.Random], str], rng: random.Random) -> str:
    """A name that may be one: of syllables, a word, seldom with an accent or in another script."""
    roll = rng.random()
    if roll < 0.02:
        script = rng.choice(SCRIPTS)
        return "".join(rng.choice(script) for _ in range(4))
    if roll < 0.5:
        return words(rng).capitalize()
    name = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3))))
    if roll < 0.6:
        at = rng.randrange(len(name))
        name = name[:at] + rng.choice(ACCENTS) + name[at + 1 :]
    return name.capitalize()


def blend(one: str, other: str, rng: random.Random) -> str:
    """The beginning of a word and the end of another: a new word of known pieces."""
    return one[: rng.randint(2, len(one))] + other[rng.randint(1, len(other) - 2) :]


def rare_words(families: Sequence[Family]) -> list[str]:
    """Words of the families' sentences and descriptions, of more than three letters, that few families have.

    What many have says how words belong together ("with", "please"), and would be no value.
    """
    counts = Counter(word for family in families for word in _words(family))
    return sorted(word for word, count in counts.items() if count <= len(families) / 12 + 1)


def _words(family: Family) -> set[str]:
    texts = [*family.abouts, *(about for arg in family.args.values() for about in arg.abouts)]
    texts += (SLOT.sub(" ", phrase.source) for phrase in (*family.says, *family.vagues, *family.multis))
    return {word for text in texts for word in re.findall(r"\b[a-z]{4,12}\b", text.lower())}
