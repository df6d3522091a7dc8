"""What of the held-out side training has not seen under another key: a tool may be described in two files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from callspan.finetune.data.families import Family
from callspan.finetune.data.phrases import Phrase
from callspan.finetune.data.sides import held_out_family
from callspan.finetune.data.tools import words

SLOT = re.compile(r"\{[^{}]*\}")


def unseen(kept: Sequence[Family], everything: Sequence[Family], near: Mapping[str, set[str]]) -> list[Family]:
    """The kept families that share no name with a trained one and are not `near` one, without sentences of these.

    Which of SGD's services are trained on, its files say, and they may not be there: all count as trained on.
    """
    trained = [f for f in everything if f.key.startswith("sgd_") or not held_out_family(f.key)]
    keys = {family.key for family in trained}
    names = {name for family in trained for name in named(family)}
    said = {_bare(phrase) for f in trained for phrase in (*f.says, *f.vagues, *f.multis)}
    found = []
    for family in kept:
        if named(family) & names or near.get(family.key, set()) & keys:
            continue
        for phrases in (family.says, family.vagues, family.multis):
            phrases[:] = [phrase for phrase in phrases if _bare(phrase) not in said]
        if family.says:
            found.append(family)
    return found


def named(family: Family) -> set[frozenset[str]]:
    """The words of each of a family's names."""
    return {frozenset(words(name).split()) for name in family.names}


def _bare(phrase: Phrase) -> str:
    """A sentence without what its slots are called."""
    return SLOT.sub("{}", phrase.source.lower())
