"""Tools of verb and object, with values after their names: for words that no family has.

They teach to find a request's own words in a declaration and to copy whatever stands where a value stands; natural language they
do not teach.
"""

from __future__ import annotations

import random

from callspan.finetune.families import Arg, Family
from callspan.finetune.kinds import Kind
from callspan.finetune.phrases import parse_phrase
from callspan.finetune.tools import words
from callspan.finetune.values import Values

VERBS = (
    "get show list find search read check count measure inspect scan test verify create add make build draw write open close lock unlock start stop pause "
    "resume restart enable disable mute unmute hide reveal move copy rename delete remove clear reset update change set adjust raise lower increase decrease send "
    "share publish print export import upload download save load archive restore merge split sort filter assign approve reject cancel book reserve order rent "
    "return repair clean wash paint cook mix fill empty weigh cut fold wrap label tag pin follow block invite call notify remind schedule plan track log record "
    "play rate review compare convert translate encrypt decrypt sign stamp calibrate activate deactivate register attach detach connect disconnect mount deploy"
).split()
PARAMS = {
    "name": ("string", "phrase"), "title": ("string", "title"), "id": ("string", "code"), "code": ("string", "code"), "city": ("string", "city"),
    "location": ("string", "place"), "owner": ("string", "person"), "recipient": ("string", "person"), "date": ("string", "date"), "time": ("string", "time"),
    "duration": ("string", "duration"), "amount": ("num", 1, 500), "count": ("int", 1, 50), "limit": ("int", 1, 100), "level": ("int", 0, 100), "width": ("num", 1, 400),
    "priority": ("enum", "low", "medium", "high"), "size": ("enum", "small", "medium", "large"), "format": ("enum", "pdf", "csv", "json", "html"),
    "color": ("string", "color"), "reason": ("string", "phrase"), "label": ("string", "tag"), "path": ("string", "path"), "target": ("string", "phrase"), "mode": ("enum", "auto", "manual", "eco"),
    "team": ("string", "team"), "speed": ("num", 1, 200), "temperature": ("num", -20, 200), "email": ("string", "email"), "tags": ("list", "tag"), "side": ("enum", "left", "right"),
}  # fmt: skip


def _kind(spec: tuple[object, ...]) -> Kind:
    name = str(spec[0])
    if name == "enum":
        values = tuple(map(str, spec[1:]))
        return Kind("enum", values=values, words={v: (v,) for v in values})
    if name == "list":
        return Kind("list", item=Kind("string", pool=str(spec[1])))
    if name == "string":
        return Kind("string", pool=str(spec[1]))
    return Kind(name, low=float(str(spec[1])), high=float(str(spec[2])))


def combined_family(values: Values, rng: random.Random) -> Family:
    """A family of one verb and one object, made up on the spot."""
    verb, noun = rng.choice(VERBS), rng.choice(values.pools["word"]).lower().replace(" ", "_")
    if rng.random() < 0.4:
        noun = f"{rng.choice(values.pools['word']).lower().replace(' ', '_')}_{noun}"
    noun = "".join(c for c in noun if c.isascii() and (c.isalnum() or c == "_")) or "thing"
    if noun[0].isdigit():
        noun = f"unit_{noun}"
    thing = words(noun)
    names = [f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}"]
    family = Family(f"{verb}_{noun}", "combined", tuple(names), (f"{verb} a {thing}", f"{verb}s the {thing}", f"{verb} {thing} by its details", f"{thing}: {verb}"))
    said = [f"{verb} the {thing}", f"{verb} a {thing}", f"{verb} my {thing}", f"I want to {verb} the {thing}", f"the {thing} needs a {verb}", f"time to {verb} the {thing}"]
    chosen = rng.sample(list(PARAMS), rng.choice((0, 1, 1, 2, 2, 3)))
    front = rng.random() < 0.3
    if front:
        # The object itself is the parameter, and its value stands before or behind it: "restart the nginx service".
        arg = Arg(noun, Kind("string", pool=rng.choice(("word", "phrase", "code", "service", "product"))), True, (noun,), (f"Which {thing}", f"The {thing}'s name"))
        family.args[noun] = arg
        said = [f"{verb} the {{{noun}}} {thing}", f"{verb} {{{noun}}}", f"{verb} {thing} {{{noun}}}", f"{verb} the {thing} {{{noun}}}", f"{thing} {{{noun}}}: {verb}"]
    for name in chosen:
        family.args[name] = Arg(name, _kind(PARAMS[name]), rng.random() < 0.5, (name, f"{noun}_{name}"), (f"The {name}", f"{name} of the {thing}", f"Which {name} to use"))
    for text in said:
        for _ in range(2):
            given = [n for n in chosen if family.args[n].required or rng.random() < 0.6]
            rng.shuffle(given)
            family.says.append(parse_phrase(_with(text, given, rng)))
            if len(given) > 1 or (given and rng.random() < 0.5):
                family.vagues.append(parse_phrase(_with(text, given[1:], rng)))
    return family


def _with(text: str, given: list[str], rng: random.Random) -> str:
    tails = [rng.choice((f"with {n} {{{n}}}", f"{n} {{{n}}}", f"with {{{n}}} as the {n}", f"for {n} {{{n}}}", f"set {n} to {{{n}}}", f"and use {{{n}}} as {n}")) for n in given]
    if tails and rng.random() < 0.15:
        return f"{tails[0]}, {text} " + " ".join(tails[1:])
    return " ".join((text, rng.choice((", ", " ")).join(tails))).strip()
