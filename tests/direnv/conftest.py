"""A copy of what direnv reads of the workspace, in a world of its own: a home, programs on PATH that are known, a
Python that installs nothing, and a Nix that only takes note of how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = (
    ".envrc",
    "scripts/lib.sh",
    "scripts/setup-python",
    "scripts/shells.txt",
    "python-executor/requirements.txt",
    "python-executor/requirements-dev.txt",
    "flake.nix",
)
# What .envrc, direnv and the scripts call; whatever else this machine has, a Nix perhaps, is not there.
PROGRAMS = "bash basename cat date direnv dirname env grep head mkdir mktemp mv readlink rm sed sleep touch tr uname"
# Nothing listens there: a download fails at once, on machines with a network as well.
NOWHERE = "http://127.0.0.1:9"

PYTHON = """#!/usr/bin/env bash
case "$*" in
    "-m venv --clear "*)
        echo "venv ${4##*/}" >>"$NOTES"
        sleep "${VENV_TAKES:-0}"
        mkdir -p "$4/bin"
        rm -f "$4/.made-from"
        cp "$0" "$4/bin/python"
        ;;
    *"pip install "*)
        echo "pip ${!#}" >>"$NOTES"
        [ -z "${PIP_FAILS:-}" ]
        ;;
    *) exec REAL "$@" ;;
esac
"""

NIX = """#!/usr/bin/env bash
echo "$*" >>"$NOTES"
name=${!#} name=${name#.#}
[ -z "${NIX_FAILS:-}" ] || { echo "error: the flake is broken" >&2; exit 1; }
# What a shell of a flake sets, among much else, by names that others use, too.
cat <<SCRIPT
name='callspan-$name'
export name
shell='/nix/store/bash'
export shell
IN_NIX_SHELL='impure'
export IN_NIX_SHELL
FROM_NIX='$name'
export FROM_NIX
PATH="/nix/tools:\\$PATH"
export NIX_BUILD_TOP="\\$(mktemp -d -t nix-shell.XXXXXX)"
export TMP="\\$NIX_BUILD_TOP"
export TMPDIR="\\$NIX_BUILD_TOP"
eval "\\${shellHook:-}"
SCRIPT
"""


@dataclass
class Told:
    """What a session in a shell was like."""

    looks: list[dict[str, str]]
    said: str
    status: int

    def own_words(self) -> list[str]:
        """What .envrc said, without the two lines that direnv itself has for each entry."""
        lines = [line.removeprefix("direnv: ") for line in plain(self.said).splitlines()]
        return [
            line
            for line in lines
            if not (
                line.startswith(("export ", "unloading")) or (line.startswith("loading ") and line.endswith("/.envrc"))
            )
        ]


def plain(text: str) -> str:
    """Without colours."""
    while "\x1b[" in text:
        before, _, rest = text.partition("\x1b[")
        text = before + rest.partition("m")[2]
    return text


class Workspace:
    """The checkout, and what is around it."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.checkout = room / "checkout"
        self.tools = room / "tools"
        self.home = room / "home"
        self.notes = room / "notes"
        self.variables: dict[str, str] = {}
        for directory in (self.tools, self.home, room / "tmp"):
            directory.mkdir()
        for name in READ:
            self.write(name, (ROOT / name).read_text("utf-8"), executable=os.access(ROOT / name, os.X_OK))
        for name in PROGRAMS.split():
            found = shutil.which(name)
            assert found, f"{name} is missing, which these tests need (make setup installs it on Debian)"
            (self.tools / name).symlink_to(found)
        shutil.copy(shutil.which("cp") or "", self.tools / "cp")
        self.program("python", PYTHON.replace("REAL", sys.executable))
        self.run("direnv", "allow", ".")

    def write(self, name: str, text: str, *, executable: bool = False, age: float = 3600) -> Path:
        """Writes a file of the checkout. direnv sees changes by the second, so each is given its own age."""
        path = self.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def program(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(text, "utf-8")
        path.chmod(0o755)

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": str(self.tools),
            "TMPDIR": str(self.room / "tmp"),
            "PYTHON": str(self.tools / "python"),
            "NOTES": str(self.notes),
            "HTTPS_PROXY": NOWHERE,
            "LANG": "C.UTF-8",
        } | self.variables

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.checkout, env=self.environment(), capture_output=True, text=True, timeout=120, check=False
        )

    def session(self, script: str = "cd checkout; prompt; look") -> Told:
        """Runs lines in a bash with direnv's hook: `prompt` is what comes before a prompt, `look` notes variables."""
        before = (
            'eval "$(direnv hook bash)"\n'
            "prompt() { _direnv_hook; }\n"
            f"looks=0; look() {{ looks=$((looks + 1)); env -0 >'{self.room}'/look.$looks; }}\n"
        )
        shell = subprocess.run(
            ["bash", "-c", before + script],
            cwd=self.room,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        looks = []
        for file in sorted(self.room.glob("look.*")):
            entries = (entry.partition("=") for entry in file.read_text("utf-8").split("\0") if entry)
            looks.append({name: value for name, _, value in entries})
            file.unlink()
        return Told(looks, shell.stderr, shell.returncode)

    def noted(self) -> list[str]:
        """What the programs that only take note have noted since this was asked last."""
        lines = self.notes.read_text("utf-8").splitlines() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return lines

    def make_venv(self) -> None:
        done = self.run("scripts/setup-python")
        assert done.returncode == 0, done.stderr
        self.noted()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace that was set up."""
    workspace.make_venv()
    return workspace


@pytest.fixture
def nix(ready: Workspace) -> Workspace:
    """A workspace that was set up, on a machine with Nix."""
    ready.program("nix", NIX)
    ready.write("nix/shells.nix", "{ }\n")
    return ready
