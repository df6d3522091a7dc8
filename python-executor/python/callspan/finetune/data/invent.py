"""Makes values up in shapes such as `Name word-9`, so that copying wins over remembering."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from callspan.finetune.data.wording import EXTENSIONS, SYLLABLES

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def invent(shape: str, words: Sequence[str], rng: random.Random) -> str:
    """A value of a shape: words are drawn, names, numbers and letters made up, all else stays as it is."""
    out = []
    for part in _pieces(shape):
        if part == "Name":
            name = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()
            out.append(name if rng.random() < 0.7 else rng.choice(words).capitalize())
        elif part == "word":
            out.append(rng.choice(words))
        elif part == "ext":
            out.append(rng.choice(EXTENSIONS))
        elif part[0] == "9":
            out.append(str(rng.randint(1, 10 ** len(part) - 1)))
        elif part[0] == "X":
            out.append("".join(rng.choice(LETTERS) for _ in part))
        else:
            out.append(part)
    return "".join(out)


def _pieces(shape: str) -> list[str]:
    """`XX-999` as `XX`, `-`, `999`."""
    return re.findall(r"Name|word|ext|9+|X+|.", shape)
