"""What goes wrong in a way that a person can mend: one line what, one line how."""

from __future__ import annotations

import importlib.util
import os
import sys

from callspan.evaluate.errors import Trouble

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")
INSTALL = "pip install 'callspan[finetune]'"


class FinetuneError(Trouble):
    """What is wrong, how to mend it, and the exit status."""

    def __init__(self, what: str, cure: str = "", status: int = 2) -> None:
        super().__init__(what, cure)
        self.status = status


def first() -> bool:
    """Whether this process is the one that speaks and writes: of several that train together only the first does."""
    return int(os.environ.get("RANK", "0")) == 0


def say(text: str) -> None:
    """A line for the person, once however many processes train."""
    if first():
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def tell(error: FinetuneError) -> int:
    """Prints an error as all the programs here do; the exit status."""
    say(str(error))
    return error.status


def need(*packages: str) -> None:
    """Refuses to go on without the packages that are not of the default installation."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise FinetuneError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing", INSTALL)
