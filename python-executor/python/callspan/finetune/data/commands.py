"""What the generator's commands have in common: arguments that are checked, and errors in two lines and no trace.

Exit status: 0, 2 for what is wrong with the command, 1 for what is wrong with what it reads or writes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from callspan.evaluate.errors import Trouble

WRITE_IT = "write it with python -m callspan.finetune.data.natural --data DIRECTORY --out FILE"


def run(command: Callable[[], str]) -> int:
    """Does what a command is for and prints what it says then; the exit status."""
    try:
        done = command()
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{told(error)}\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{done}\n")
    return 0


def told(error: OSError) -> str:
    """What the system said of a file, by the file's name."""
    return f"error: {error.filename}: {error.strerror}" if error.filename else f"error: {error}"


def at_least_one(text: str) -> int:
    """The type of an argument that counts something."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not one, two, three …")
    return int(text)


def readable(path: Path, fix: str) -> Path:
    """The path, if a file is there, or a pipe."""
    if path.is_dir() or not path.exists():
        raise Trouble(f"{path} is {'a directory' if path.is_dir() else 'not there'}", fix)
    return path


def writable(path: Path) -> Path:
    """The path, if a file can be there: what takes long to make should not be lost for a name."""
    if path.is_dir():
        raise Trouble(f"{path} is a directory", f"name a file in it: --out {path / 'data.jsonl'}")
    if not path.parent.is_dir():
        raise Trouble(f"{path.parent} is no directory", f"mkdir -p {path.parent}")
    return path
