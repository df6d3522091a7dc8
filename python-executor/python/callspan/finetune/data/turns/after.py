"""What comes after an exchange: the answer to a tool's response, another request, the end of a longer dialogue."""

from __future__ import annotations

from typing import Any

from callspan.finetune.data.converted import Dialogue
from callspan.finetune.data.kinds import literal
from callspan.finetune.data.replies import draw_error, draw_result, show, tell, tell_error
from callspan.finetune.data.samples import Turn, answers, returned, says
from callspan.finetune.data.tools import Tool
from callspan.finetune.data.turns.asked import Source, expect, request, typed


def answer(source: Source, called: Turn, failed: bool) -> Turn:
    """The answer after calls and their responses: each is told, in the calls' order. One of them may have failed."""
    messages = [*called.messages, called.answer]
    wrong = source.rng.randrange(len(called.made)) if failed else None
    texts: list[str] = []
    about: list[str] = []
    for i, (tool, values) in enumerate(called.made):
        if i == wrong:
            error = draw_error(values, source.rng)
            result: dict[str, Any] = {"error": error}
            texts.append(tell_error(error))
            about.append(error)
        else:
            result = draw_result(tool, values, source.world.values, source.rng)
            texts.append(tell(tool, values, result, source.rng))
            about += [show(value) for value in result.values() if show(value) in texts[-1]]
        messages.append(returned(tool.name, result))
    return Turn("error" if failed else "answer", messages, answers(" ".join(texts)), about, called.origin)


def later(source: Source, tools: list[Tool], turn: Turn) -> Turn:
    """A turn after an exchange about something else; alone if that does not come about."""
    other = source.rng.choice(tools)
    drawn = request(source, other)
    if drawn is None or other.missing(drawn.values[0]):
        return turn
    first = expect(source, other, [typed(source, drawn)], drawn.values[0])
    done = answer(source, first, failed=False)
    turn.messages = [*done.messages, done.answer, *turn.messages]
    return turn


def dialogue(source: Source, tool: Tool) -> Turn | None:
    """A dialogue of a data set, up to a call or a question."""
    found: Dialogue = source.rng.choice(source.world.dialogues[tool.family.key])
    if any(path not in tool.params for path in found.values):
        return None
    if any(value is None and path in tool.required for path, value in found.values.items()):
        # Any will do, but the tool needs one: neither a question nor a call without it would be right.
        return None
    values = {
        path: literal(tool.family.args[path].kind, value) for path, value in found.values.items() if value is not None
    }
    messages = [says(text) if who == "u" else answers(text) for who, text in found.turns]
    return expect(source, tool, messages, values)
