"""All families, which of them may meet in one prompt, and from which side of the split they come."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from callspan.finetune.data.converted import Natural, read_natural
from callspan.finetune.data.families import HERE, Family, read_directory
from callspan.finetune.data.invent import rare_words
from callspan.finetune.data.pools import read_pools
from callspan.finetune.data.sides import held_out_family
from callspan.finetune.data.unseen import named, unseen
from callspan.finetune.data.values import Values
from callspan.finetune.data.wording import COMMON

# How often a data set's family is drawn, and of which: of clinc150, which has most, the arguments are not annotated.
NATURAL = 0.42
SHARES = {"clinc": 0.35, "nlu": 0.3, "sgd": 0.25, "snips": 0.1}


class World:
    """The families of one side of the split: for training, or held out."""

    def __init__(
        self, training: bool, natural: Path | None = None, families: Path = HERE, written: bool = True
    ) -> None:
        """Reads the families and pools of a directory and, if given, what `callspan.finetune.data.natural` converted.

        Without `written` there are the data sets' families only.
        """
        self.training = training
        everything = read_directory(families)
        self.written = [f for f in everything if written and held_out_family(f.key) != training]
        described = read_directory(families / "natural")
        found = Natural() if natural is None else read_natural(natural, described, training)
        everything += described
        self._near: dict[str, set[str]] = defaultdict(set)
        for family in everything:
            for other in family.near:
                self._near[family.key].add(other)
                self._near[other].add(family.key)
        if not training:
            self.written = unseen(self.written, everything, self._near)
        self.natural, self.dialogues, self.chat, self.foreign = (
            found.families,
            found.dialogues,
            found.chat,
            found.foreign,
        )
        # The families of each data set.
        self.sets: dict[str, list[Family]] = defaultdict(list)
        for family in self.natural:
            self.sets[family.key.split("_")[0]].append(family)
        self.by_key = {f.key: f for f in (*self.written, *self.natural)}
        self.values = Values(read_pools(families / "pools"), training, rare_words(list(self.by_key.values())))
        if not self.by_key:
            raise ValueError(f"no family is {'for training' if training else 'held out'} in {natural or families}")
        self.by_domain: dict[str, list[Family]] = defaultdict(list)
        for family in self.by_key.values():
            self.by_domain[family.domain].append(family)
        self._names = {f.key: named(f) for f in self.by_key.values()}
        # The families with a word in one of their names, by the word.
        self.by_word: dict[str, list[Family]] = defaultdict(list)
        for family in self.by_key.values():
            for word in sorted(frozenset().union(*self._names[family.key])):
                self.by_word[word].append(family)
        self._objects = {key: frozenset().union(*names) - COMMON for key, names in self._names.items()}

    def apart(self, one: Family, other: Family) -> bool:
        """Whether a careful reader can tell which of the two a request is for, so that both may be in one prompt."""
        if one.key == other.key or other.key in self._near.get(one.key, ()) or self._named(one) & self._named(other):
            return False
        return one.domain == other.domain or not self._things(one) & self._things(other)

    def _named(self, family: Family) -> set[frozenset[str]]:
        """The words of each of its names."""
        if family.key not in self._names:
            return named(family)
        return self._names[family.key]

    def _things(self, family: Family) -> frozenset[str]:
        """The words of its names that say what it is about."""
        if family.key not in self._objects:
            return frozenset().union(*self._named(family)) - COMMON
        return self._objects[family.key]

    def draw_family(self, rng: random.Random) -> Family:
        """A family of a data set or a written one; of one sort if there is no other."""
        if self.sets and (not self.written or rng.random() < NATURAL):
            name = rng.choices(list(self.sets), [SHARES[name] for name in self.sets])[0]
            return rng.choice(self.sets[name])
        return rng.choice(self.written)

    def draw_families(self, count: int, rng: random.Random) -> list[Family]:
        """Families that can be told apart, often of one domain."""
        chosen = [self.draw_family(rng)]
        same = rng.choice((0.0, 0.3, 0.6, 0.9))
        for _ in range(count * 5):
            if len(chosen) == count:
                break
            if rng.random() < same:
                other = rng.choice(self.by_domain[rng.choice(chosen).domain])
            else:
                other = self.draw_family(rng)
            if all(self.apart(other, one) for one in chosen):
                chosen.append(other)
        rng.shuffle(chosen)
        return chosen
