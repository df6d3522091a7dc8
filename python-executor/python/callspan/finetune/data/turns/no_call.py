"""What none of the tools is for: requests that have to be refused, and small talk."""

from __future__ import annotations

from collections.abc import Sequence

from callspan.finetune.data.families import Family
from callspan.finetune.data.manners import decorate
from callspan.finetune.data.samples import REFUSAL, Message, Turn, answers, says
from callspan.finetune.data.tools import Tool, draw_tool, words
from callspan.finetune.data.turns.asked import Source, request, typed
from callspan.finetune.data.wording import CHAT

# A word in the names of more families makes none of them alike.
RARE = 60


def refuse(source: Source, tools: list[Tool]) -> Turn | None:
    """A request that none of the tools is for: often of the same domain, or one that has a word in common."""
    world, rng = source.world, source.rng
    if world.foreign and rng.random() < 0.15:
        said = says(decorate(rng.choice(world.foreign), rng))
        return Turn("refuse", [said], answers(REFUSAL), [], "foreign")
    for _ in range(8):
        family = rng.choice(_alike(source, rng.choice(tools)) or [world.draw_family(rng)])
        if all(world.apart(family, tool.family) and not _vague(source, family, tool) for tool in tools):
            said = _foreign(source, family)
            if said:
                return Turn("refuse", [said], answers(REFUSAL), [], family.key)
    return None


def _alike(source: Source, tool: Tool) -> Sequence[Family]:
    """Families that are like a tool's without being for the same; sometimes none."""
    world, rng = source.world, source.rng
    roll = rng.random()
    if roll < 0.35:
        return world.by_domain.get(tool.family.domain, ())
    if roll < 0.6:
        # "Book a flight" where tables can be booked.
        found = [world.by_word.get(word, ()) for word in words(rng.choice(tool.family.names)).split()]
        return rng.choice([families for families in found if len(families) <= RARE] or [()])
    return ()


def _vague(source: Source, family: Family, tool: Tool) -> bool:
    """Whether a dialogue of this family may begin with words that the tool is for as well: "I need a restaurant"."""
    return family.key in source.world.dialogues and family.domain == tool.family.domain


def _foreign(source: Source, family: Family) -> Message | None:
    """A request for a tool that is not there, complete or not."""
    tool = draw_tool(family, source.rng)
    if family.key in source.world.dialogues:
        first = source.rng.choice(source.world.dialogues[family.key])
        return says(first.turns[0][1]) if len(first.turns) == 1 else None
    drawn = request(source, tool, vague=source.rng.random() < 0.15)
    return typed(source, drawn) if drawn else None


def chat(source: Source) -> Turn:
    """Small talk: no tool is needed, and an honest word is the answer."""
    world, rng = source.world, source.rng
    if world.chat and rng.random() < 0.5:
        said, replies = rng.choice(world.chat)
        return Turn("chat", [says(decorate(said, rng))], answers(rng.choice(replies)), [], "chat")
    lines, answer = rng.choice(CHAT)
    return Turn("chat", [says(decorate(rng.choice(lines), rng))], answers(answer), [], "chat")
