"""The way from a running tool to whoever runs it.

In the sandbox the executor puts an object of its own into `current`; a test puts a Recorder there. Without one a tool
still runs, and what it would tell of its progress is told to nobody.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from callspan.errors import message_of, safe_name


class Channel(Protocol):
    """What the package needs of whoever runs a tool; every method may be called from any thread."""

    def notify(self, kind: str, payload: str) -> None:
        """Tell JSON: `progress` is {fraction, message}, `log` is {level, logger, message}."""

    def artefact(self, name: str, media_type: str, data: bytes) -> None:
        """Hand over a file."""

    def ask(self, kind: str, payload: str) -> str:
        """Ask and wait: `tool` {name, arguments} is answered with {ok: result} or {error: {type, message}}."""

    def connect(self, address: str) -> int:
        """Give the descriptor of a stream socket connected to `host:port` or `unix:/path`, or raise OSError."""


current: Channel | None = None
"""Who runs the tool that is running."""


class Recorder:
    """A channel within the process: it keeps what it is told, and answers with the functions that it was given."""

    def __init__(self, tools: Mapping[str, Callable[..., Any]] | None = None) -> None:
        """Take the tools that code may call, by name."""
        self.progress: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.artefacts: dict[str, tuple[str, bytes]] = {}
        self._tools = tools or {}

    def notify(self, kind: str, payload: str) -> None:
        """Keep progress and logs apart, in order."""
        {"progress": self.progress, "log": self.logs}[kind].append(json.loads(payload))

    def artefact(self, name: str, media_type: str, data: bytes) -> None:
        """Keep a file by its name."""
        self.artefacts[name] = (media_type, data)

    def ask(self, kind: str, payload: str) -> str:
        """Call one of the given tools; any other is denied, as a person would."""
        asked = json.loads(payload)
        if kind != "tool" or asked["name"] not in self._tools:
            return _error("PermissionError", f"calling `{asked.get('name')}` was not allowed")
        try:
            return json.dumps({"ok": self._tools[asked["name"]](**asked["arguments"])})
        except Exception as error:  # noqa: BLE001  (whatever a tool raises is an answer)
            return _error(safe_name(type(error)), message_of(error))

    def connect(self, address: str) -> int:
        """Refuse: outside the sandbox sockets need nobody's help."""
        raise PermissionError(f"{address}: there is no broker here, use an ordinary socket")


def _error(kind: str, message: str) -> str:
    return json.dumps({"error": {"type": kind, "message": message}})
