"""Whether an answer is right, and whether its calls are valid.

Two verdicts each: `right`, as lenient as BFCL is and as a person would be, and `strict`, which adds what a program that
goes on with the answer may want. Of prose only what can be told without understanding it is judged, by words.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from callspan.evaluate import schemas
from callspan.evaluate.cases import Case
from callspan.evaluate.match import difference

_QUESTION = re.compile(
    r"\?|\b(please (tell|give|provide|specify|say|enter|let)|could you|which|what|i need to know)\b", re.I
)
_SUCCESS = re.compile(r"\b(successful(ly)?|done|all set|completed|has been|have been|is now|are now)\b", re.I)
_FAILURE = re.compile(
    r"\b(not|no|sorry|fail(s|ed|ure)?|error|unable|cannot|denied|refused|problem|\w+n['\u2019]t)\b", re.I
)


@dataclass
class Reply:
    """What a server answered, and how long it took."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    """`{"name", "arguments"}` each; the arguments as JSON values, or the text itself where it is no JSON."""
    content: str = ""
    error: str = ""
    """Why there is no answer: what the server or the evaluation said."""
    rejected: str = ""
    """What was wrong with a call that the server itself held back, or that could not be read."""
    latency_s: float = 0.0
    """From the request to the whole answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """What is to be said of one answer."""

    id: str
    kind: str
    split: str
    right: bool
    strict: bool
    why: str
    """What is wrong, in a few words."""
    due: str
    """What a right answer is: call, refuse, ask or answer."""
    calls: list[dict[str, Any]]
    valid: list[bool]
    """Of each call, the one that was held back included, whether its tool's schema allows it."""
    content: str
    error: str
    latency_ms: float
    prompt_tokens: int
    completion_tokens: int
    asked: str
    """The last words of the user."""
    expect: dict[str, Any]
    warnings: list[str]

    def json(self) -> dict[str, Any]:
        """As the report keeps it."""
        return asdict(self)


def judge(case: Case, reply: Reply) -> Verdict:
    """Judge one answer."""
    valid = [_valid(call, case.tools) for call in reply.calls] + [False] * bool(reply.rejected)
    due, why, strictly = _judged(case, reply)
    why = reply.error or reply.rejected or why
    users = [message["content"] for message in case.messages if message["role"] == "user"]
    return Verdict(
        id=case.id,
        kind=case.kind,
        split=case.split,
        right=not why,
        strict=not why and strictly,
        why=why,
        due=due,
        calls=reply.calls,
        valid=valid,
        content=reply.content,
        error=reply.error,
        latency_ms=round(reply.latency_s * 1000, 3),
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        asked=users[-1] if users else "",
        expect=case.expect,
        warnings=reply.warnings,
    )


def _judged(case: Case, reply: Reply) -> tuple[str, str, bool]:
    """What was due, what is wrong, and whether it would be right strictly as well."""
    expect = case.expect
    if expect.get("calls") == "any":
        return "call", "" if reply.calls else "no call", True
    if expect.get("calls"):
        why = difference(reply.calls, expect["calls"], case.tools)
        return "call", why, not difference(reply.calls, expect["calls"], case.tools, strict=True)
    due = "answer" if "answer" in expect else expect.get("no_call", "refuse")
    if reply.calls:
        return due, f"it called {reply.calls[0]['name']}", False
    if due == "refuse":
        return due, "", bool(reply.content.strip()) and "?" not in reply.content
    if due == "ask":
        why = "" if _QUESTION.search(reply.content) else "no question"
        return due, why, _names(reply.content, expect.get("about", []))
    return (due, *_answered(case, reply.content))


def _names(content: str, about: list[str]) -> bool:
    """Whether a word of each of these parameters' names is in the text."""
    said = content.lower()
    words = (re.findall(r"[a-z]{3,}", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()) or [name] for name in about)
    return all(any(word in said for word in one) for one in words)


def _answered(case: Case, content: str) -> tuple[str, bool]:
    wanted = [one if isinstance(one, list) else [one] for one in case.expect["answer"]]
    missing = [one[0] for one in wanted if not any(_holds(content, text, re.IGNORECASE) for text in one)]
    if missing:
        return f"it does not say {missing[0]}", False
    if case.kind == "error" and _SUCCESS.search(content) and not _FAILURE.search(content):
        return "it claims success", False
    return "", all(any(_holds(content, text, 0) for text in one) for one in wanted)


def _holds(content: str, text: str, flags: int) -> bool:
    # No part of a longer number or word: 21 is not said by 2100.
    before, after = (r"(?<!\w)" if text[:1].isalnum() else ""), (r"(?!\w)" if text[-1:].isalnum() else "")
    return re.search(before + re.escape(text) + after, content, flags) is not None


def _valid(call: dict[str, Any], tools: list[dict[str, Any]]) -> bool:
    schema = next((tool["parameters"] for tool in tools if tool["name"] == call["name"]), None)
    if schema is None or not isinstance(call["arguments"], dict):
        return False
    return schemas.valid(call["arguments"], schema)
