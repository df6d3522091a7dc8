"""What a tool logs, on its way to whoever runs it: the standard library's `logging`, and `Context.log`.

Bounded, so that a loop that logs cannot drown everything else.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from callspan import channel
from callspan.errors import message_of, safe_name, text_of

MAX_RECORDS = 1000
LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")

_sent = 0


def restart() -> None:
    """Count anew: a call begins."""
    global _sent
    _sent = 0


def send(level: int, logger: str, message: str) -> None:
    """Tell one record, unless there were too many already."""
    global _sent
    _sent += 1
    if channel.current is None or _sent > MAX_RECORDS:
        return
    if _sent == MAX_RECORDS:
        level, logger, message = logging.WARNING, "callspan", f"this is record {MAX_RECORDS}; no more are kept"
    said = {
        "level": next((name for name in LEVELS if level >= getattr(logging, name)), LEVELS[-1]),
        "logger": text_of(logger, 100),
        "message": text_of(message, 2000),
    }
    channel.current.notify("log", json.dumps(said, ensure_ascii=False))


class _Handler(logging.Handler):
    """Takes the records of the standard library."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record; what goes wrong in it is the record's loss only."""
        if channel.current is None and logging.lastResort is not None:
            if record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
            return
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001  (a wrong format is no reason to fail the tool)
            message = f"{text_of(str(record.msg), 200)} ({safe_name(type(error))}: {message_of(error)})"
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}\n{safe_name(type(record.exc_info[1]))}: {message_of(record.exc_info[1])}"
        send(record.levelno, record.name, message)


_handler = _Handler(logging.INFO)


def install() -> None:
    """Send what is logged at INFO or above to the channel, instead of to standard error; in children, for good."""
    logging.root.addHandler(_handler)
    logging.root.setLevel(logging.INFO)


@contextmanager
def installed() -> Iterator[None]:
    """The same for a while, in a process that has other uses for its log."""
    before = logging.root.level
    install()
    try:
        yield
    finally:
        logging.root.removeHandler(_handler)
        logging.root.setLevel(before)
