"""What none of the tools is for: requests that have to be refused, and small talk."""

from __future__ import annotations

from callspan.finetune.data.families import Family
from callspan.finetune.data.manners import decorate
from callspan.finetune.data.samples import REFUSAL, Message, Turn, answers, says
from callspan.finetune.data.tools import Tool, draw_tool
from callspan.finetune.data.turns.asked import Source, request, typed
from callspan.finetune.data.wording import CHAT


def refuse(source: Source, tools: list[Tool]) -> Turn | None:
    """A request that none of the tools is for: often of the same domain."""
    world, rng = source.world, source.rng
    if world.foreign and rng.random() < 0.15:
        said = says(decorate(rng.choice(world.foreign), rng))
        return Turn("refuse", [said], answers(REFUSAL), [], "foreign")
    for _ in range(8):
        near = rng.choice(tools).family.domain
        pool = world.by_domain.get(near) if rng.random() < 0.55 else None
        family = rng.choice(pool) if pool else world.draw_family(rng)
        if all(world.apart(family, tool.family) for tool in tools):
            said = _foreign(source, family)
            if said:
                return Turn("refuse", [said], answers(REFUSAL), [], family.key)
    return None


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
