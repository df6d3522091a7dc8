"""Tools that take what they can get. Each has a hard cap of its own, far below what would hurt the machine it runs on,
so that it stops even where nothing stops it; with a result that says so, which bench/chaos.py counts as a failure."""

import os
import time
from pathlib import Path

from callspan import tool

MIB = 1 << 20


@tool
def fork_bomb() -> str:
    """Fork as often as possible, at most 64 times; the forks sleep for ten seconds."""
    for forks in range(64):
        try:
            if os.fork() == 0:
                time.sleep(10)
                os._exit(0)
        except OSError as error:
            return f"stopped after {forks} forks by {type(error).__name__}"
    return "not stopped"


@tool
def memory_bomb() -> str:
    """Fill memory, at most 1 GiB."""
    held = []
    for _ in range(64):
        held.append(b"\1" * (16 * MIB))
    return "not stopped"


@tool
def disk_filler() -> str:
    """Write files into the scratch directory, at most 256 MiB."""
    block = b"\1" * MIB
    for number in range(8):
        try:
            with Path(f"filler-{number}").open("wb", buffering=0) as file:
                for _ in range(32):
                    file.write(block)
        except OSError as error:
            return f"stopped in file {number} by {type(error).__name__}: {error.strerror}"
    return "not stopped"


@tool
def output_flood() -> str:
    """Print as fast as possible, at most 256 MiB."""
    line = "x" * 1023
    for _ in range(256 * 1024):
        print(line)
    return "printed"


@tool
def sleeper() -> str:
    """Sleep for a minute."""
    time.sleep(60)
    return "not stopped"


@tool
def spinner() -> str:
    """Count for a minute of processor time at most."""
    until = time.process_time() + 60
    while time.process_time() < until:
        pass
    return "not stopped"
