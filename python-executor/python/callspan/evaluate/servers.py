"""Who is asked: what the two kinds of servers have in common."""

from typing import Any, Protocol

from callspan.evaluate.cases import Case
from callspan.evaluate.judge import Reply

# Bytes of one answer; more than this is none.
LONGEST = 16 << 20


class Server(Protocol):
    """Something that answers cases, one at a time."""

    what: str
    """Its address, as a person would name it."""

    def ask(self, case: Case) -> Reply:
        """Ask one case; raises Late if no answer came in time, and Trouble where no other case would fare better."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Late(Exception):  # noqa: N818  (an answer's absence, counted with the answers)
    """No answer came in time."""


def messages(case: Case, call: Any) -> list[dict[str, Any]]:
    """The messages of a case, each earlier call in the form that `call` gives it."""
    told = []
    for message in case.messages:
        made = dict(message)
        if calls := message.get("tool_calls"):
            made["tool_calls"] = [call(one) for one in calls]
        told.append(made)
    return told
