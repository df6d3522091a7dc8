"""Several requests in one message: of one tool or of several, each of them a call."""

from __future__ import annotations

from typing import Any

from callspan.finetune.data.manners import decorate, join
from callspan.finetune.data.requests import draw_request
from callspan.finetune.data.samples import Message, Turn, calls, says
from callspan.finetune.data.tools import Tool
from callspan.finetune.data.turns.asked import Source, request, typed

# A request of more characters is not joined to others.
LONGEST = 90


def multi(source: Source, tool: Tool) -> Turn | None:
    """Several calls of one tool in one sentence."""
    world, rng = source.world, source.rng
    multis = tool.family.multis
    if not multis:
        return _joined(source, [tool, tool]) if rng.random() < 0.3 else None
    drawn = draw_request(tool.family, rng.choice(multis), tool.params, world.values, rng)
    if drawn is None or any(tool.missing(values) for values in drawn.values):
        return None
    return _turn(typed(source, drawn), [(tool, values) for values in drawn.values])


def parallel(source: Source, tools: list[Tool]) -> Turn | None:
    """Calls of several tools in one message."""
    if len(tools) < 2:
        return None
    rng = source.rng
    return _joined(source, rng.sample(tools, min(len(tools), rng.choice((2, 2, 2, 3)))))


def _joined(source: Source, tools: list[Tool]) -> Turn | None:
    """The requests for these tools, one after the other in one message."""
    texts: list[str] = []
    made: list[tuple[Tool, dict[str, Any]]] = []
    value_first = False
    for tool in tools:
        drawn = request(source, tool)
        if drawn is None or tool.missing(drawn.values[0]) or len(drawn.text) > LONGEST:
            return None
        value_first = value_first or drawn.value_first
        texts.append(drawn.text)
        made.append((tool, drawn.values[0]))
    if made[0] == made[1]:
        return None
    text = decorate(join(texts, source.rng, value_first), source.rng, value_first)
    return _turn(says(text), made)


def _turn(said: Message, made: list[tuple[Tool, dict[str, Any]]]) -> Turn:
    wanted = calls(*((tool.name, tool.arguments(values)) for tool, values in made))
    return Turn("parallel", [said], wanted, [], made[0][0].family.key, made)
