"""What the attacks share: what the test planted for them to reach, and bare system calls.

An attack that is stopped raises what the sandbox made of it, or returns what little it saw; one that gets through says
`escaped`, and what the test planted tells the same.
"""

import ctypes
import json
import os
from pathlib import Path
from typing import Any, NoReturn

WORLD: dict[str, Any] = json.loads(Path(__file__).with_name("world.json").read_text("utf-8"))
"""Where the planted things are, and the numbers of this machine's system calls."""

CANARY: str = WORLD["canary"]
libc = ctypes.CDLL(None, use_errno=True)


def escaped(how: object = "") -> str:
    """The result of an attack that got through."""
    return f"escaped: {how}"


def syscall(name: str, *arguments: int | bytes | ctypes.Array[Any] | None) -> int:
    """One system call by its number, past every library."""
    if name not in WORLD["calls"]:
        raise PermissionError(1, "this machine has no such system call", name)
    result: int = libc.syscall(WORLD["calls"][name], *[_word(argument) for argument in arguments])
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def _word(argument: Any) -> Any:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def give_up(why: str) -> NoReturn:
    """There was nothing to be had."""
    raise PermissionError(1, why)
