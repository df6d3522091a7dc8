"""Makes function-calling conversations without end, from families of tools: the same seed makes the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from callspan.finetune import wire
from callspan.finetune.combine import combined_family
from callspan.finetune.families import Family
from callspan.finetune.kinds import literal
from callspan.finetune.converted import Dialogue
from callspan.finetune.replies import draw_error, draw_result, show, tell, tell_error
from callspan.finetune.manners import decorate, join
from callspan.finetune.requests import Request, draw_request, usable
from callspan.finetune.samples import REFUSAL, Message, Sample, Turn, answers, calls, returned, says
from callspan.finetune.tools import Tool, draw_tool, words
from callspan.finetune.wording import CHAT, SUPPLIED, SYSTEMS
from callspan.finetune.world import World

# How often each kind of turn is tried; a turn that asks comes by itself where a sentence lacks what its tool requires.
MIX = {"call": 0.50, "vague": 0.07, "multi": 0.07, "parallel": 0.10, "refuse": 0.13, "chat": 0.02, "answer": 0.07, "error": 0.02, "later": 0.02}
class Generator:
    """Draws samples of one side of the split."""

    def __init__(self, world: World, seed: int, tools: int = 8) -> None:
        """Samples of `seed` with up to so many tools."""
        self.world = world
        self.rng = random.Random(seed)  # noqa: S311
        self.tools = tools
        self.values = world.values

    def __iter__(self) -> Iterator[Sample]:
        """Samples for ever."""
        while True:
            sample = self.sample()
            if sample.turns:
                yield sample

    def sample(self) -> Sample:
        """Tools, and turns that each have one of them, or none, to call."""
        rng = self.rng
        count = min(self.tools, rng.choice((1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8)))
        families = self.world.draw_families(count, rng)
        if rng.random() < 0.2:
            for i in range(rng.randint(1, len(families))):
                families[i] = combined_family(self.world.values, rng)
        tools = [draw_tool(family, rng) for family in families]
        names = {tool.name for tool in tools}
        if len(names) < len(tools):
            tools = list({tool.name: tool for tool in tools}.values())
        turns = []
        # Many turns with the same tools: the declarations, the dear part, are computed once for all of them.
        for _ in range(rng.randint(3, 5) + len(tools) // 2):
            kind = rng.choices(list(MIX), list(MIX.values()))[0]
            try:
                turn = self.turn(kind, tools)
            except wire.WireError:
                continue
            if turn is not None:
                turns.append(turn)
        return Sample([tool.schema for tool in tools], turns, self.system())

    def system(self) -> str:
        """The developer's text: mostly the trigger alone."""
        rng = self.rng
        if rng.random() < 0.88:
            return wire.TRIGGER
        line = rng.choice(SYSTEMS).format(
            rng.choice(self.values.pools["person"]), m=rng.randint(1, 12), d=rng.randint(1, 28), h=rng.randint(0, 23), n=rng.randint(0, 59)
        )
        return line + rng.choice(("\n", "\n", " ")) + wire.TRIGGER

    def turn(self, kind: str, tools: list[Tool]) -> Turn | None:
        """A turn of a kind, or nothing if these tools have none."""
        rng = self.rng
        if kind == "refuse":
            return self.refuse(tools)
        if kind == "chat":
            return self.chat()
        tool = rng.choice(tools)
        if kind == "parallel":
            return self.parallel(tools)
        if kind == "multi":
            return self.multi(tool)
        if tool.family.key in self.world.dialogues and (kind == "vague" or rng.random() < 0.8):
            return self.dialogue(tool)
        request = self.request(tool, vague=kind == "vague")
        if request is None:
            return None
        text, values = decorate(request.text, rng, request.value_first), request.values[0]
        turn = self.expect(tool, [says(text)], values)
        if turn.kind == "ask":
            # The value alone, as an answer to the question, makes the next turn.
            return self.supplied(tool, turn, values) if rng.random() < 0.35 else turn
        if kind in ("answer", "error"):
            return self.answer(tool, turn, values, failed=kind == "error")
        if kind == "later":
            return self.later(tools, turn)
        return turn

    def request(self, tool: Tool, vague: bool = False) -> Request | None:
        """A request for this tool."""
        family = tool.family
        lines = family.vagues if vague else family.says
        for _ in range(6):
            if not lines:
                return None
            phrase = self.rng.choice(lines)
            if len(lines) > 3 and not usable(phrase, self.world.training):
                continue
            request = draw_request(family, phrase, tool.params, self.values, self.rng)
            if request is not None:
                return request
        return None

    def expect(self, tool: Tool, messages: list[Message], values: dict[str, Any]) -> Turn:
        """What the model has to do with these values: call, or ask for what is missing."""
        missing = tool.missing(values)
        origin = tool.family.key
        if missing:
            return Turn("ask", messages, answers(self.question(tool, missing)), [tool.params[p] for p in missing], origin)
        return Turn("call", messages, calls((tool.name, tool.arguments(values))), [], origin)

    def question(self, tool: Tool, missing: list[str]) -> str:
        """A question for what is missing, by the parameters' declared names."""
        arg = tool.family.args[missing[0]]
        if len(missing) == 1 and arg.asks and self.rng.random() < 0.15:
            return self.rng.choice(arg.asks)
        parts = [words(tool.params[path]) for path in missing[:3]]
        return "Which " + " and which ".join(parts) + "?"

    def supplied(self, tool: Tool, turn: Turn, values: dict[str, Any]) -> Turn | None:
        """The turn after a question: the user gives what was missing."""
        missing = tool.missing(values)
        if len(missing) != 1 or tool.family.args[missing[0]].kind.kind in ("object", "bool"):
            return turn
        value, said = self.values.draw(tool.family.args[missing[0]].kind, self.rng)
        if not said:
            return turn
        said = self.rng.choice(SUPPLIED).format(said)
        messages = [*turn.messages, turn.answer, says(decorate(said, self.rng))]
        return self.expect(tool, messages, values | {missing[0]: value})

    def multi(self, tool: Tool) -> Turn | None:
        """Several calls of one tool in one sentence."""
        lines = [phrase for phrase in tool.family.multis if usable(phrase, self.world.training) or len(tool.family.multis) < 3]
        if not lines:
            return self.joined([tool, tool]) if self.rng.random() < 0.3 else None
        request = draw_request(tool.family, self.rng.choice(lines), tool.params, self.values, self.rng)
        if request is None or any(tool.missing(values) for values in request.values):
            return None
        made = [(tool.name, tool.arguments(values)) for values in request.values]
        return Turn("parallel", [says(decorate(request.text, self.rng, request.value_first))], calls(*made), [], tool.family.key)

    def parallel(self, tools: list[Tool]) -> Turn | None:
        """Calls of several tools in one message."""
        if len(tools) < 2:
            return None
        return self.joined(self.rng.sample(tools, min(len(tools), self.rng.choice((2, 2, 2, 3)))))

    def joined(self, tools: list[Tool]) -> Turn | None:
        """The requests for these tools, one after the other in one message."""
        texts, made = [], []
        value_first = False
        for tool in tools:
            request = self.request(tool)
            if request is None or tool.missing(request.values[0]) or len(request.text) > 90:
                return None
            value_first = value_first or request.value_first
            texts.append(request.text)
            made.append((tool.name, tool.arguments(request.values[0])))
        if made[0] == made[1]:
            return None
        return Turn("parallel", [says(decorate(join(texts, self.rng, value_first), self.rng, value_first))], calls(*made), [], tools[0].family.key)

    def refuse(self, tools: list[Tool]) -> Turn | None:
        """A request that none of the tools is for: often of the same domain."""
        rng = self.rng
        if self.world.foreign and rng.random() < 0.15:
            return Turn("refuse", [says(decorate(rng.choice(self.world.foreign), rng))], answers(REFUSAL), [], "foreign")
        for _ in range(8):
            near = rng.choice(tools).family.domain
            pool = self.world.by_domain.get(near) if rng.random() < 0.55 else None
            family = rng.choice(pool) if pool else self.world.draw_family(rng)
            if all(self.world.apart(family, tool.family) for tool in tools):
                found = self.foreign_request(family)
                if found:
                    return Turn("refuse", [says(found)], answers(REFUSAL), [], family.key)
        return None

    def foreign_request(self, family: Family) -> str | None:
        """A request for a tool that is not there, complete or not."""
        tool = draw_tool(family, self.rng)
        if family.key in self.world.dialogues:
            first = self.rng.choice(self.world.dialogues[family.key])
            return first.turns[0][1] if len(first.turns) == 1 else None
        request = self.request(tool, vague=self.rng.random() < 0.15)
        return decorate(request.text, self.rng, request.value_first) if request else None

    def chat(self) -> Turn:
        """Small talk: no tool is needed, and an honest word is the answer."""
        rng = self.rng
        if self.world.chat and rng.random() < 0.5:
            said, replies = rng.choice(self.world.chat)
            return Turn("chat", [says(decorate(said, rng))], answers(rng.choice(replies)), [], "chat")
        said, answer = rng.choice(CHAT)
        return Turn("chat", [says(decorate(rng.choice(said), rng))], answers(answer), [], "chat")

    def answer(self, tool: Tool, turn: Turn, values: dict[str, Any], failed: bool) -> Turn:
        """The answer after a call and its response."""
        name = tool.name
        if failed:
            error = draw_error(values, self.rng)
            result: dict[str, Any] = {"error": error}
            text, about = tell_error(error), [error]
        else:
            result = draw_result(tool, values, self.values, self.rng)
            text = tell(tool, values, result, self.rng)
            about = [show(v) for v in result.values() if show(v) in text]
        messages = [*turn.messages, turn.answer, returned(name, result)]
        return Turn("error" if failed else "answer", messages, answers(text), about, turn.origin)

    def later(self, tools: list[Tool], turn: Turn) -> Turn:
        """A request after an exchange about something else."""
        other = self.rng.choice(tools)
        request = self.request(other)
        if request is None or other.missing(request.values[0]):
            return turn
        first = self.expect(other, [says(decorate(request.text, self.rng, request.value_first))], request.values[0])
        done = self.answer(other, first, request.values[0], failed=False)
        turn.messages = [*done.messages, done.answer, *turn.messages]
        return turn

    def dialogue(self, tool: Tool) -> Turn | None:
        """A dialogue of a data set, up to a call or a question."""
        found: Dialogue = self.rng.choice(self.world.dialogues[tool.family.key])
        args = tool.family.args
        if any(path not in tool.params for path in found.values):
            return None
        values = {path: literal(args[path].kind, value) for path, value in found.values.items()}
        messages = [says(text) if who == "u" else answers(text) for who, text in found.turns]
        return self.expect(tool, messages, values)


