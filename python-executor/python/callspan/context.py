"""What a tool may do beside returning a value: tell how far it is, log, hand over files.

A parameter annotated `Context` is given one by the executor; the model never hears of it.
"""

import json
import logging
import math
from pathlib import Path

from callspan import channel
from callspan.artefact import Artefact, Outbox
from callspan.errors import text_of
from callspan.logs import send

MAX_PROGRESS = 200


class Context:
    """The call that a tool is in the middle of."""

    __slots__ = ("_outbox", "scratch")

    scratch: Path
    """A directory of the call's own: writable, bounded, and gone afterwards."""

    def __init__(self, outbox: Outbox | None = None, scratch: Path | None = None) -> None:
        """Without arguments for a test that calls the function itself."""
        self._outbox = outbox or Outbox()
        self.scratch = scratch or Path.cwd()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far the tool is: a fraction from 0 to 1, or so many of a total.

        Args:
            done: the fraction, or how many are done if `total` is given.
            total: how many there are.
            message: what it is doing, in a few words.
        """
        fraction = done if total is None else done / total if total else 1.0
        known = min(max(float(fraction), 0.0), 1.0) if math.isfinite(fraction) else None
        if channel.current is not None:
            said = {"fraction": known, "message": text_of(message, MAX_PROGRESS)}
            channel.current.notify("progress", json.dumps(said, ensure_ascii=False))

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Log a message to whoever runs the tool; the model does not see it."""
        send(level, "tool", message)

    def debug(self, message: str) -> None:
        """Log what only helps to find a fault."""
        self.log(message, logging.DEBUG)

    def info(self, message: str) -> None:
        """Log what goes on."""
        self.log(message, logging.INFO)

    def warning(self, message: str) -> None:
        """Log what may be wrong."""
        self.log(message, logging.WARNING)

    def error(self, message: str) -> None:
        """Log what is wrong."""
        self.log(message, logging.ERROR)

    def artefact(
        self, data: bytes | Path | Artefact, media_type: str = "application/octet-stream", name: str = ""
    ) -> str:
        """Hand over a file now; gives the name under which it is known, for the result to mention."""
        made = data if isinstance(data, Artefact) else Artefact(data, media_type, name)
        said = self._outbox.put(made)
        self._outbox.send()
        return str(said["artefact"])
