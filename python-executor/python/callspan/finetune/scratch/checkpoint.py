"""Files that are whole or not there: checkpoints, exports and the record of metrics.

A kill at any moment leaves the last checkpoint; a full disk does, too, and training goes on with a word about it.
"""

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import torch

from callspan.finetune.errors import say


def write(path: Path, content: bytes) -> bool:
    """Replace a file at once, or leave it as it is and say why. True if it is written."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        say(f"could not write {path} ({error.strerror}): the one before stays, training goes on")
        try:
            new.unlink(missing_ok=True)
        except OSError:
            return False
        return False
    return True


def append(path: Path, row: dict[str, Any]) -> bool:
    """Add one line of JSON; a line that does not fit is said and lost."""
    try:
        with path.open("ab", buffering=0) as file:
            line, end = json.dumps(row).encode() + b"\n", file.tell()
            if file.write(line) < len(line):
                file.truncate(end)  # no half lines
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        say(f"could not write to {path} ({error.strerror}): a line of metrics is lost")
        return False
    return True


def save(path: Path, state: dict[str, Any]) -> bool:
    """Write a checkpoint. It is made in memory first, as torch's own writer says a full disk in many ways."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return write(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint, or None if there is none yet."""
    if not path.exists():
        return None
    return torch.load(path, map_location="cpu", weights_only=True)
