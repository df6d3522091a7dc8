"""Tools of verb and object, with values after their names: for words that no family has.

They teach to find a request's own words in a declaration and to copy whatever stands where a value stands; natural
language they do not teach.
"""

from __future__ import annotations

import random

from callspan.finetune.data.families import Arg, Family
from callspan.finetune.data.kinds import Kind, parse_kind
from callspan.finetune.data.phrases import parse_phrase
from callspan.finetune.data.tools import words
from callspan.finetune.data.values import Values
from callspan.finetune.data.wording import PARAMETERS, VERBS

KINDS = {name: parse_kind(kind) for name, kind in PARAMETERS.items()}


def combined_family(values: Values, rng: random.Random) -> Family:
    """A family of one verb and one object, made up on the spot."""
    verb, noun = _verb_and_noun(values, rng)
    thing = words(noun)
    article = "an" if thing[0] in "aeiou" else "a"
    family = Family(
        key=f"{verb}_{noun}",
        domain="combined",
        names=(f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}"),
        abouts=(
            f"{verb} {article} {thing}",
            f"{_third(verb)} the {thing}",
            f"{verb} {thing} by its details",
            f"{thing}: {verb}",
        ),
    )
    said = [
        f"{verb} the {thing}",
        f"{verb} {article} {thing}",
        f"{verb} my {thing}",
        f"I want to {verb} the {thing}",
        f"the {thing} needs a {verb}",
        f"time to {verb} the {thing}",
    ]
    chosen = rng.sample(list(KINDS), rng.choice((0, 1, 1, 2, 2, 3)))
    if rng.random() < 0.3:
        # The object itself is the parameter, and its value stands before or behind it: "restart the nginx service".
        pool = rng.choice(("word", "phrase", "code", "service", "product"))
        about = (f"Which {thing}", f"The {thing}'s name")
        family.args[noun] = Arg(noun, Kind("string", pool=pool), True, (noun,), about)
        said = [
            f"{verb} the {{{noun}}} {thing}",
            f"{verb} {{{noun}}}",
            f"{verb} {thing} {{{noun}}}",
            f"{verb} the {thing} {{{noun}}}",
            f"{thing} {{{noun}}}: {verb}",
        ]
    for name in chosen:
        required = rng.random() < 0.5
        about = (f"The {name}", f"{name} of the {thing}", f"Which {name} to use")
        family.args[name] = Arg(name, KINDS[name], required, (name, f"{noun}_{name}"), about)
    for text in said:
        for _ in range(2):
            given = [n for n in chosen if family.args[n].required or rng.random() < 0.6]
            rng.shuffle(given)
            family.says.append(parse_phrase(_with(text, given, rng)))
            if len(given) > 1 or (given and rng.random() < 0.5):
                family.vagues.append(parse_phrase(_with(text, given[1:], rng)))
    return family


def _third(verb: str) -> str:
    """A verb's third person: searches, copies, opens."""
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return verb + "es"
    return verb[:-1] + "ies" if verb[-1] == "y" and verb[-2] not in "aeiou" else verb + "s"


def _verb_and_noun(values: Values, rng: random.Random) -> tuple[str, str]:
    """A verb, and an object of one word or two that may be part of a tool's name."""

    def word() -> str:
        # Not a word of other families: what is asked for would be for both.
        found = rng.choice(values.pools["word"]) if rng.random() < 0.6 else values.coined(rng)
        return found.lower().replace(" ", "_")

    verb, noun = rng.choice(VERBS), word()
    if rng.random() < 0.4:
        noun = f"{word()}_{noun}"
    noun = "".join(c for c in noun if c.isascii() and (c.isalnum() or c == "_")) or "thing"
    return verb, f"unit_{noun}" if noun[0].isdigit() else noun


def _with(text: str, given: list[str], rng: random.Random) -> str:
    """The sentence with slots for what is given behind it, seldom before it."""
    tails = []
    for name in given:
        slot = f"{{{name}}}"
        ways = (
            f"with {name} {slot}",
            f"{name} {slot}",
            f"with {slot} as the {name}",
            f"for {name} {slot}",
            f"set {name} to {slot}",
            f"and use {slot} as {name}",
        )
        tails.append(rng.choice(ways))
    if tails and not tails[0].startswith("and") and rng.random() < 0.15:
        return f"{tails[0]}, {text} " + " ".join(tails[1:])
    return " ".join((text, rng.choice((", ", " ")).join(tails))).strip()
