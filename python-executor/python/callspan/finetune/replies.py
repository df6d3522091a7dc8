"""What tools give back, and the answers that tell it."""

from __future__ import annotations

import random
import re
from typing import Any

from callspan.finetune.families import Family
from callspan.finetune.kinds import Kind
from callspan.finetune.tools import Tool, words
from callspan.finetune.values import Values
from callspan.finetune.wording import ERRORS, FIELDS, STATES


def draw_result(tool: Tool, values: dict[str, Any], drawer: Values, rng: random.Random) -> dict[str, Any]:
    """A result: the family's own fields, or any."""
    family = tool.family
    if family.returns and rng.random() < 0.75:
        out = {name: _value(kind, drawer, rng) for name, kind in family.returns.items()}
    else:
        out = {}
        for name in rng.sample((*FIELDS, *(words(p).replace(" ", "_") for p in tool.params.values())), rng.choice((1, 1, 2, 2, 3))):
            out[name] = rng.choice(
                (rng.choice(STATES), rng.randint(0, 500), round(rng.uniform(0, 1000), rng.choice((1, 2, 4, 9))), drawer.text(Kind("string", pool="phrase"), rng))
            )
    for path in values:
        if path not in out and "." not in path and not isinstance(values[path], (dict, list)) and rng.random() < 0.12:
            out[path] = values[path]
    if rng.random() < 0.1:
        return {"value": next(iter(out.values()))}
    return out


def _value(kind: Kind, drawer: Values, rng: random.Random) -> Any:
    return drawer.draw(kind, rng)[0]


def tell(tool: Tool, values: dict[str, Any], result: dict[str, Any], rng: random.Random) -> str:
    """The answer that tells a result: a sentence of the family's, if its fields are all there, or one that names each field."""
    fits = [r for r in tool.family.replies if _fits(r, tool.family, values, result)]
    if fits and rng.random() < 0.4:
        return re.sub(r"\{([A-Za-z0-9_.]+)\}", lambda m: show(result.get(m[1], values.get(m[1]))), rng.choice(fits))
    return name_fields(result)


def _fits(reply: str, family: Family, values: dict[str, Any], result: dict[str, Any]) -> bool:
    fields = re.findall(r"\{([A-Za-z0-9_.]+)\}", reply)
    return bool(fields or not result) and all(f in result or f in values for f in fields) and not re.search(r"\{[^}]*[^A-Za-z0-9_.}]", reply)


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
    said = [show(v) for v in values.values() if isinstance(v, (str, int, float)) and not isinstance(v, bool)] or ["that"]
    return rng.choice(ERRORS).format(rng.choice(said), n=rng.randint(2, 600))


def tell_error(error: str) -> str:
    """The honest answer after an error."""
    return f"Sorry, that did not work: {error}" + ("" if error[-1:] in ".?!" else ".")
