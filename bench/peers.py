"""The others, for the same work: a fresh and confined Python that reads arguments as JSON, adds, and writes JSON. Each
is set up as its own pages say, with the confinement that ours has as far as it offers it; each figure is microseconds
from having the arguments to having the result."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import setup_peers
from served import BENCH, ROOT

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
ADD = "import json, sys; given = json.load(sys.stdin); print(json.dumps(given['a'] + given['b']))"
NUMPY = "import json, sys, numpy; print(json.dumps(float(numpy.sum(numpy.asarray(json.load(sys.stdin))))))"
# Where Debian has links at the root, and where there is a directory of that name or none.
ROOTS = tuple(path for path in map(Path, ("/lib", "/lib64", "/bin")) if path.exists())


def timed(command: list[str | Path], given: str, expected: str, calls: int) -> list[int]:
    took = []
    for _ in range(calls + 1):
        started = time.perf_counter()
        ended = subprocess.run(command, input=given, capture_output=True, text=True)
        took.append(round(1e6 * (time.perf_counter() - started)))
        if ended.returncode or ended.stdout.strip() != expected:
            said = (ended.stderr or ended.stdout).strip()[-300:]
            raise RuntimeError(f"{Path(command[0]).name} ended with {ended.returncode}: {said}")
    # The first one reads files that the others find in memory.
    return took[1:]


def bubblewrap(program: Path) -> list[str | Path]:
    roots = [part for path in ROOTS for part in ("--ro-bind", path.resolve(), path)]
    return [
        program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
        "--ro-bind", "/usr", "/usr", *roots, "--ro-bind", VENV, VENV, "--dev", "/dev", "--tmpfs", "/tmp",
        "--chdir", "/tmp",
    ]  # fmt: skip


def nsjail(program: Path) -> list[str | Path]:
    seen = [
        part for path in (Path("/usr"), *ROOTS, VENV, Path("/dev/null"), Path("/dev/urandom")) for part in ("-R", path)
    ]
    return [program, "-Mo", "-Q", "--disable_proc", *seen, "-T", "/tmp", "--cwd", "/tmp", "--"]


def monty(python: Path, calls: int) -> list[int]:
    ended = subprocess.run([python, BENCH / "monty_calls.py", str(calls)], capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip()[-300:])
    return [int(line) for line in ended.stdout.split()]


def peers(calls: int, numpy: bool) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """The name of each, and what measures it."""
    add = '{"a": 1, "b": 2}', "3", calls
    array = "[1.5, 2.5]", "4.0", calls
    yield "python3 -I -S -c pass", lambda: timed([PYTHON.resolve(), "-I", "-S", "-c", "pass"], "", "", calls)
    yield "Python of the .venv, json", lambda: timed([PYTHON, "-c", ADD], *add)
    wrap, jail, pool = setup_peers.bubblewrap(), setup_peers.nsjail(), setup_peers.monty()
    if wrap:
        yield "bubblewrap, Python, json", lambda: timed([*bubblewrap(wrap), PYTHON, "-c", ADD], *add)
    if wrap and numpy:
        yield "bubblewrap, Python, numpy", lambda: timed([*bubblewrap(wrap), PYTHON, "-c", NUMPY], *array)
    if jail:
        yield "nsjail, Python, json", lambda: timed([*nsjail(jail), PYTHON, "-c", ADD], *add)
    if pool:
        yield "monty, a session a call", lambda: monty(pool, 20 * calls)
