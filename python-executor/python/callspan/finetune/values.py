"""Values for arguments: what the call holds and what a person says for it.

Values come from pools (`pools/*.pool`), families' own lists, bounds of numbers and, so that copying wins over remembering,
from invention. One value in ten is kept from training, by a hash of its text, for the held-out set.
"""

from __future__ import annotations

import random
import zlib
from pathlib import Path
from typing import Any

from callspan.finetune.kinds import Kind
from callspan.finetune.numbers import spell
from callspan.finetune.wording import EXTENSIONS, INVENTED, SYLLABLES

HELD_OUT = 10
# Mixed into the hash of families, so that the most everyday ones (an alarm, a timer, a light, the weather) are among those trained.
SALT = "family29:"
Said = tuple[Any, str]


def held_out(text: str) -> bool:
    """Whether a family, sentence or value is kept from training: one in ten, by its hash."""
    return zlib.crc32(text.encode()) % HELD_OUT == 0


def read_pools(directory: Path) -> dict[str, list[str]]:
    """The pools of a directory: `== name` and values, one a line or several between bars."""
    pools: dict[str, list[str]] = {}
    for path in sorted(directory.glob("*.pool")):
        name = ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.startswith("=="):
                name = line[2:].strip()
            elif line.strip() and not line.startswith("#"):
                if not name:
                    raise ValueError(f"{path.name}:{number}: a pool begins with `== name`")
                pools.setdefault(name, []).extend(part.strip() for part in line.split("|") if part.strip())
    return pools


def held_out_family(key: str) -> bool:
    """Whether a family is kept from training."""
    return held_out(SALT + key)


class Values:
    """Draws values; `training` says from which part of every pool."""

    def __init__(self, pools: dict[str, list[str]], training: bool, invented: float = 0.25) -> None:
        """Keeps the part of each pool that `training` may see, or the rest of it."""
        self.pools = {}
        for name, values in pools.items():
            part = [v for v in values if held_out(v) != training]
            self.pools[name] = part if len(values) >= HELD_OUT * 2 and part else values
        self.training = training
        self.invented = invented

    def draw(self, kind: Kind, rng: random.Random) -> Said:
        """A value and what is said for it."""
        if kind.kind in ("int", "num"):
            return self.number(kind, rng)
        if kind.kind == "enum":
            chosen = rng.choice(kind.values)
            return chosen, rng.choice(kind.words.get(chosen) or (chosen,))
        if kind.kind == "bool":
            chosen = rng.random() < 0.5
            return chosen, "true" if chosen else "false"
        if kind.kind == "list":
            return self.several(kind.item or Kind("string"), rng)
        if kind.kind == "object":
            return {}, ""
        text = self.text(kind, rng)
        return text, text

    def text(self, kind: Kind, rng: random.Random) -> str:
        """A string of a pool or of a family's own list, or an invented one."""
        if kind.values:
            values = [v for v in kind.values if held_out(v) != self.training] if len(kind.values) >= HELD_OUT * 2 else ()
            return rng.choice(values or kind.values)
        if kind.pool in INVENTED and (kind.pool not in self.pools or rng.random() < self.invented):
            return self.invent(INVENTED[kind.pool], rng)
        # A result's field may have one value only: `returns: state=locked`.
        return rng.choice(self.pools.get(kind.pool) or (kind.pool.replace("_", " "),))

    def number(self, kind: Kind, rng: random.Random) -> Said:
        """A number within the bounds, mostly a round or small one, spelled in digits or words."""
        low, high = kind.low, kind.high
        roll = rng.random()
        if kind.kind == "num" and roll < 0.3:
            number: Any = round(rng.uniform(low, high), rng.choice((1, 1, 2)))
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

    def several(self, item: Kind, rng: random.Random) -> Said:
        """A list of one to four values, as people string them together."""
        chosen: list[Said] = []
        for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
            one = self.draw(item, rng)
            if one[0] not in [value for value, _ in chosen]:
                chosen.append(one)
        words = [said for _, said in chosen]
        if len(words) == 1:
            said = words[0]
        elif rng.random() < 0.75:
            said = ", ".join(words[:-1]) + rng.choice((" and ", " and ", ", and ", " & ")) + words[-1]
        else:
            said = rng.choice((", ", " ")).join(words) if all(" " not in word for word in words) else ", ".join(words)
        return [value for value, _ in chosen], said

    def invent(self, shape: str, rng: random.Random) -> str:
        """A value of a shape such as `Name word-9`: words are drawn, names, digits and letters made up."""
        out = []
        for part in _parts(shape):
            if part == "Name":
                name = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()
                out.append(name if rng.random() < 0.7 else rng.choice(self.pools["word"]).capitalize())
            elif part == "word":
                out.append(rng.choice(self.pools["word"]))
            elif part == "ext":
                out.append(rng.choice(EXTENSIONS))
            elif part[0] == "9":
                out.append(str(rng.randint(1, 10 ** len(part) - 1)))
            elif part[0] == "X":
                out.append("".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in part))
            else:
                out.append(part)
        return "".join(out)


def _parts(shape: str) -> list[str]:
    """`XX-999` as `XX`, `-`, `999`."""
    parts: list[str] = []
    i = 0
    while i < len(shape):
        for token in ("Name", "word", "ext"):
            if shape.startswith(token, i):
                break
        else:
            token = shape[i]
            while token[0] in "9X" and shape.startswith(token + token[0], i):
                token += token[0]
        parts.append(token)
        i += len(token)
    return parts
