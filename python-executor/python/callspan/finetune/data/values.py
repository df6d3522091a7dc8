"""Values for arguments: what the call holds and what a person says for it.

They come from pools, families' own lists, bounds of numbers and from invention.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from callspan.finetune.data.invent import blend, invent
from callspan.finetune.data.kinds import Kind
from callspan.finetune.data.numbers import spell
from callspan.finetune.data.shapes import INVENTED
from callspan.finetune.data.sides import of_side

# What a call holds, and what is said for it.
Said = tuple[Any, str]
# How often a value is invented where a pool has some.
MADE_UP = 0.25
# How many decimals a number has that somebody says.
PLACES = (1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4)


def decimal(low: float, high: float, places: int, rng: random.Random) -> float:
    """A number within the bounds, of so many decimals, or of more if the bounds leave no room for it."""
    number = round(rng.uniform(low, high), places)
    return number if low <= number <= high else decimal(low, high, places + 1, rng)


class Values:
    """Draws values; `training` says from which part of every pool."""

    def __init__(self, pools: Mapping[str, Sequence[str]], training: bool, words: Sequence[str] = ()) -> None:
        """Keeps the part of each pool that `training` may see, or the rest of it; of `words` more values are made."""
        self.words = words
        self.pools = {name: of_side(values, training) for name, values in pools.items()}
        self.training = training

    def draw(self, kind: Kind, rng: random.Random) -> Said:
        """A value and what is said for it."""
        if kind.kind in ("int", "num"):
            return self.number(kind, rng)
        if kind.kind == "enum":
            chosen = rng.choice(kind.values)
            return chosen, rng.choice(kind.words.get(chosen) or (chosen,))
        if kind.kind == "bool":
            true = rng.random() < 0.5
            return true, "true" if true else "false"
        if kind.kind == "list":
            return self.several(kind, rng)
        if kind.kind == "object":
            return {}, ""
        text = self.text(kind, rng)
        return text, text

    def text(self, kind: Kind, rng: random.Random) -> str:
        """A string of a pool or of a family's own list, or an invented one."""
        if kind.values:
            return rng.choice(of_side(kind.values, self.training))
        if kind.pool in INVENTED and (kind.pool not in self.pools or rng.random() < MADE_UP):
            return invent(rng.choice(INVENTED[kind.pool]), self.word, rng)
        # A result's field may have one value only: `returns: state=locked`.
        return rng.choice(self.pools.get(kind.pool) or (kind.pool.replace("_", " "),))

    def word(self, rng: random.Random) -> str:
        """A word of the pool, of the families' texts, or one that there is not."""
        roll = rng.random()
        if roll < 0.4 or not self.words:
            return rng.choice(self.pools["word"])
        return rng.choice(self.words) if roll < 0.75 else self.coined(rng)

    def coined(self, rng: random.Random) -> str:
        """A word that there is not."""
        if not self.words:
            return rng.choice(self.pools["word"])
        return blend(rng.choice(self.words), rng.choice(self.words), rng)

    def number(self, kind: Kind, rng: random.Random) -> Said:
        """A number within the bounds, of wide bounds often a round one, in digits or words."""
        low, high = kind.low, kind.high
        roll = rng.random()
        if kind.kind == "num" and (roll < 0.3 or low != int(low) or high != int(high)):
            number: Any = decimal(low, high, rng.choice(PLACES), rng)
            return (int(number), str(int(number))) if number == int(number) else (number, str(number))
        if roll < 0.5 and high - low > 30:
            step = 5 if high - low < 300 else 10 if high - low < 3000 else 100
            number = int(rng.randint(int(low) // step + 1, max(int(high) // step, int(low) // step + 1)) * step)
            number = max(int(low), min(int(high), number))
        else:
            number = rng.randint(int(low), int(high))
        if 0 <= number <= 100 and rng.random() < 0.12:
            return number, spell(number)
        if number >= 1000 and rng.random() < 0.25:
            return number, f"{number:,}"
        return number, str(number)

    def several(self, kind: Kind, rng: random.Random) -> Said:
        """A list of one to four values, as people string them together."""
        chosen: list[Said] = []
        wanted = max(kind.least, rng.choice((1, 2, 2, 2, 3, 3, 4)))
        for _ in range(wanted + 5):
            if len(chosen) == wanted:
                break
            one = self.draw(kind.item or Kind("string"), rng)
            if not any(_alike(one[0], value) for value, _ in chosen):
                chosen.append(one)
        if kind.repeated:
            chosen.insert(rng.randint(1, len(chosen)), rng.choice(chosen))
        words = [said for _, said in chosen]
        if len(words) == 1:
            said = words[0]
        elif rng.random() < 0.75:
            said = ", ".join(words[:-1]) + rng.choice((" and ", " and ", ", and ", " & ")) + words[-1]
        else:
            said = rng.choice((", ", " ")).join(words) if all(" " not in word for word in words) else ", ".join(words)
        return [value for value, _ in chosen], said


def _alike(one: Any, other: Any) -> bool:
    """Whether two values of a list are the same, as Mon and Monday are."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return one == other
    short, long = sorted((one.lower(), other.lower()), key=len)
    return long.startswith(short)
