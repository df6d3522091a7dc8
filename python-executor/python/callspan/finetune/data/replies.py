"""What tools give back, and the answers that tell it."""

from __future__ import annotations

import random
import re
from typing import Any

from callspan.finetune.data.kinds import Kind
from callspan.finetune.data.tools import Tool, words
from callspan.finetune.data.values import Values, decimal
from callspan.finetune.data.wording import ERRORS, FIELDS, STATES

# Texts in results: of these pools, which have words, names, and digits in every form.
TEXTS = [
    Kind("string", pool=pool)
    for pool in (
        *("phrase", "person", "full_name", "city", "code", "code", "date", "time", "phone", "file", "tag", "title"),
        *("word", "message", "duration"),
    )
]
FIELD = re.compile(r"\{([A-Za-z0-9_.]+)\}")


def draw_result(tool: Tool, values: dict[str, Any], drawer: Values, rng: random.Random) -> dict[str, Any]:
    """A result: the family's own fields, or any."""
    family = tool.family
    if family.returns and rng.random() < 0.6:
        out = {name: drawer.draw(kind, rng)[0] for name, kind in family.returns.items()}
    else:
        out = {}
        fields = (*FIELDS, *(words(param).replace(" ", "_") for param in tool.params.values()))
        for name in rng.sample(fields, rng.choice((1, 1, 2, 2, 3))):
            out[name] = _anything(drawer, rng)
    for path in values:
        if path not in out and "." not in path and not isinstance(values[path], (dict, list)) and rng.random() < 0.12:
            out[path] = values[path]
    if rng.random() < 0.1:
        return {"value": next(iter(out.values()))}
    return out


def _anything(drawer: Values, rng: random.Random) -> Any:
    """What a field may hold: a state, a text, a whole number of any length or one with up to nine decimals."""
    roll = rng.random()
    if roll < 0.2:
        return rng.choice(STATES)
    if roll < 0.5:
        return drawer.text(rng.choice(TEXTS), rng)
    if roll < 0.7:
        return rng.randint(0, 10 ** rng.choice((1, 2, 3, 3, 3, 4, 5, 6, 7, 9)))
    return decimal(0, 10 ** rng.choice((-1, 0, 1, 2, 3, 4, 6)), rng.randint(1, 9), rng)


def tell(tool: Tool, values: dict[str, Any], result: dict[str, Any], rng: random.Random) -> str:
    """The answer that tells a result: a sentence of the family's, if all that it speaks of is there, or each field."""
    told = values | result
    fits = [reply for reply in tool.family.replies if _fits(reply, told, result)]
    if fits and rng.random() < 0.4:
        return FIELD.sub(lambda found: show(told[found[1]]), rng.choice(fits))
    return name_fields(result)


def _fits(reply: str, told: dict[str, Any], result: dict[str, Any]) -> bool:
    """Whether a sentence tells something of the result, not of the arguments alone, and all of it is there."""
    fields = FIELD.findall(reply)
    whole = all(field in told for field in fields) and "{" not in FIELD.sub("", reply)
    return whole and any(field in result for field in fields)


def name_fields(result: dict[str, Any]) -> str:
    """`The condition is cloudy and the temperature is 21.`, sorted as the response is."""
    if list(result) == ["value"]:
        return f"The result is {show(result['value'])}."
    parts = [f"the {words(name)} is {show(result[name])}" for name in sorted(result, key=str.lower)]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return text[0].upper() + text[1:] + "."


def show(value: Any) -> str:
    """A value as an answer tells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(show, value)) or "empty"
    if isinstance(value, dict):
        return ", ".join(f"{words(k)} {show(v)}" for k, v in value.items())
    return "nothing" if value is None else str(value)


def draw_error(values: dict[str, Any], rng: random.Random) -> str:
    """Why a tool failed."""
    said = [show(v) for v in values.values() if isinstance(v, (str, int, float)) and not isinstance(v, bool)] or [
        "that"
    ]
    return rng.choice(ERRORS).format(rng.choice(said), n=rng.randint(2, 600))


def tell_error(error: str) -> str:
    """The honest answer after an error."""
    return f"Sorry, that did not work: {error}" + ("" if error[-1:] in ".?!" else ".")
