"""What can go wrong, and how to read what tool code hands over without trusting it.

The executor knows these exceptions by the names of their classes. An exception, a class or a text of a tool's own may
run the tool's code when it is looked at, so there is one place that looks at them.
"""

from typing import Any

MAX_MESSAGE = 2000

_type_name = type.__dict__["__name__"].__get__


class ToolDefinitionError(TypeError):
    """A function that cannot be a tool as it is written; `file` and `line` say where it stands."""

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        """Keep the place beside the message, for the one report at the edge."""
        super().__init__(message)
        self.file = file
        self.line = line


class BadResult(ValueError):  # noqa: N818  (a name of the contract with the executor)
    """A result that cannot be told to the model as JSON."""


class ToolFileError(Exception):
    """A tool file that cannot be used; the message begins with the file and the line."""


class UnknownTool(LookupError):  # noqa: N818  (named like its siblings)
    """No loaded file defines a tool of this name."""


class ToolFailure(Exception):  # noqa: N818  (a name of the contract with the executor)
    """What a tool raised, as plain text."""

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        """Keep the parts as attributes: the executor reads them one by one."""
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.traceback = traceback


class ToolError(Exception):
    """A tool that was called from code, and failed: `type` and `message` are those of its own error."""

    def __init__(self, type: str, message: str) -> None:  # noqa: A002  (the word of the protocol)
        """Keep both parts, for code that wants to tell failures apart."""
        super().__init__(f"{type}: {message}" if message else type)
        self.type = type
        self.message = message


def safe_name(kind: type) -> str:
    """The name of a class, whatever its metaclass says; always an exact and short str that can be shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in text_of(_type_name(kind), 100))


def text_of(text: str, limit: int) -> str:
    """An exact str without lone surrogates, at most `limit` characters, from a str or a subclass of it."""
    return str.__getitem__(text, slice(None, limit)).encode("utf-8", "backslashreplace").decode()[:limit]


def message_of(error: BaseException) -> str:
    """An exception's text; its __str__ is the tool's code, so it may raise or return anything."""
    try:
        text: Any = str(error)
    except BaseException:  # noqa: BLE001  (whatever it raises, the call is answered)
        return "(its message could not be read)"
    return text_of(text, MAX_MESSAGE)
