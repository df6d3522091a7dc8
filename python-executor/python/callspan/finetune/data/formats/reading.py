"""Reads a file of any of the shapes, with all that is wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callspan.finetune.data.formats.conversations import Example, conversation
from callspan.finetune.data.formats.recordings import is_recorded, recorded
from callspan.finetune.data.lines import MISSHAPEN, parse, why

# So many of the wrong lines are told.
TOLD = 5


class FormatError(ValueError):
    """Lines that break the format: `FILE:LINE: why`, one a line."""


def read(path: Path, keep_going: bool = False, report: list[str] | None = None) -> list[Example]:
    """The examples of a file.

    If a line breaks the format there are none, but an error with its number and why. With `keep_going` the others are
    kept, and `report` has what was wrong.
    """
    wrong: list[str] = []
    examples: list[Example] = []
    waiting: dict[tuple[int, Any], Example] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = parse(line.decode())
                found = recorded(row, waiting) if is_recorded(row) else conversation(row)
                if found is not None:
                    examples.append(found)
            except MISSHAPEN as error:
                wrong.append(f"{path.name}:{number}: {why(error)}")
    if report is not None:
        report += wrong
    if wrong and not keep_going:
        more = [f"… and {len(wrong) - TOLD} more"] if len(wrong) > TOLD else []
        raise FormatError("\n".join(wrong[:TOLD] + more))
    if not examples:
        raise FormatError(f"{path}: no example was found")
    return examples
