"""One request: the tool is called, or what is missing is asked for and then supplied."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from callspan.finetune.data.manners import decorate
from callspan.finetune.data.requests import Request, draw_request
from callspan.finetune.data.samples import Message, Turn, answers, calls, says
from callspan.finetune.data.tools import Tool, words
from callspan.finetune.data.wording import SUPPLIED, listed
from callspan.finetune.data.world import World

# Last words of parameters' names that "Which …?" does not go with.
NO_NOUNS = frozenset(
    listed("""
    to | at | on | in | by | for | from | of | with | within | until | till | after | before | where | when | what
    which | who | whom | how | many | much | long | far | often | is | that | up | out | into | onto | over | around
    near | about | since | between | per | as | enabled
""")
)


@dataclass(frozen=True, slots=True)
class Source:
    """What turns are drawn from."""

    world: World
    rng: random.Random


def request(source: Source, tool: Tool, vague: bool = False) -> Request | None:
    """A request for this tool; a vague one does not say all that the family requires."""
    world, rng = source.world, source.rng
    lines = tool.family.vagues if vague else tool.family.says
    if not lines:
        return None
    for _ in range(6):
        drawn = draw_request(tool.family, rng.choice(lines), tool.params, world.values, rng)
        if drawn is not None:
            return drawn
    return None


def typed(source: Source, drawn: Request) -> Message:
    """The user's message with a request."""
    return says(decorate(drawn.text, source.rng, drawn.value_first))


def expect(source: Source, tool: Tool, messages: list[Message], values: dict[str, Any]) -> Turn:
    """What the model has to do with these values: call, or ask for what is missing."""
    origin = tool.family.key
    missing = tool.missing(values)
    if not missing:
        return Turn("call", messages, calls((tool.name, tool.arguments(values))), [], origin, [(tool, values)])
    about = [tool.params[path] for path in missing]
    return Turn("ask", messages, answers(_question(source, tool, missing)), about, origin)


def _question(source: Source, tool: Tool, missing: list[str]) -> str:
    """A question for what is missing, mostly by the parameters' declared names."""
    arg = tool.family.args[missing[0]]
    if len(missing) == 1 and arg.asks and source.rng.random() < 0.15:
        return source.rng.choice(arg.asks)
    named: list[str] = []
    other: list[str] = []
    for path in missing[:3]:
        name, own = words(tool.params[path]), tool.family.args[path].asks
        if own and name.split()[-1] in NO_NOUNS:
            other.append(own[0])
        else:
            named.append(name)
    return " ".join((["Which " + " and which ".join(named) + "?"] if named else []) + other)


def supplied(source: Source, tool: Tool, asked: Turn, values: dict[str, Any]) -> Turn:
    """The turn after a question, in which the user gives what was missing; the question if that is not one value."""
    missing = tool.missing(values)
    kind = tool.family.args[missing[0]].kind
    if len(missing) != 1 or kind.kind in ("object", "bool"):
        return asked
    value, said = source.world.values.draw(kind, source.rng)
    if not said:
        return asked
    way = source.rng.choice(SUPPLIED)
    typed_in = decorate(way.format(said), source.rng, value_first=way.startswith("{}"))
    messages = [*asked.messages, asked.answer, says(typed_in)]
    return expect(source, tool, messages, values | {missing[0]: value})
