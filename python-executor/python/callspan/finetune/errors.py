"""What goes wrong in a way that a person can mend: one line what, one line how."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from callspan.evaluate.errors import Trouble

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "safetensors")
# Nobody publishes callspan: its packages are named by the checkout.
INSTALL = "in the checkout: pip install -e './python-executor[finetune]'"
# Less than this is a full disk to who could not write.
LITTLE = 16 << 20


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
    """Prints an error as all the programs here do; the exit status.

    What was asked wrongly is the same for all processes of a machine. What happens to one of them is told by that one.
    """
    if first():
        say(str(error))
    elif error.status == 1 or os.environ.get("LOCAL_RANK", "0") == "0":
        sys.stderr.write(f"process {os.environ['RANK']}: {error}\n")
    return error.status


def guarded(work: Callable[[], int], stopped: str = "stopped") -> int:
    """Does the work of a program; the exit status. What a person can mend is told, and is no traceback."""
    try:
        return work()
    except FinetuneError as error:
        return tell(error)
    except OSError as error:
        return tell(FinetuneError(str(error), "see that it is there, can be read and written, and has room", status=1))
    except KeyboardInterrupt:
        say(stopped)
        return 130


def disk_full(error: BaseException, folder: Path) -> bool:
    """Whether a full disk, where this folder is, made the error: not every library tells why it could not write."""
    told = str(error)
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in told or "os error 28" in told:
        return True
    # torch and numpy only say that a file is shorter than it should be.
    short = "PytorchStreamWriter" in told or "inline_container" in told or told.endswith(" written")
    return short and shutil.disk_usage(folder).free < LITTLE


def need(*packages: str) -> None:
    """Refuses to go on without the packages that are not of the default installation."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise FinetuneError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing", INSTALL)
