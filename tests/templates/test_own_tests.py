"""Each template, made by `callspan init`, passes its own tests by the command that init names, with real servers."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import BIN, ROOT, Ran, run, until


@dataclass
class Template:
    command: str
    # What its runner says of tests that passed: at least one.
    passed: str


def cabal_test() -> str:
    """As scripts/cabal decides it: where there is no index of Hackage, the system's packages are all there is."""
    source = f'. "{ROOT}/scripts/lib.sh"; have_hackage_index'
    hackage = subprocess.run(["bash", "-c", source], check=False).returncode == 0
    return "cabal test all" if hackage else "CABAL_CONFIG=/dev/null cabal test --offline all"


TEMPLATES = {
    "agent-haskell": Template(cabal_test(), r"\b1 of 1 test suites \(1 of 1 test cases\) passed"),
    "client-elixir": Template("mix test", r"^[1-9]\d* tests, 0 failures$"),
    "client-node": Template("npm test", r"^\S pass [1-9]"),
    "client-python": Template("python3 -m unittest", r"^Ran [1-9]\d* tests"),
    "tools": Template("make test", r"^[1-9]\d* passed"),
}
# Each is built and tested anew, cabal's and Elixir's compilers and pip included.
PATIENCE_S = 900


@pytest.fixture(scope="module", params=TEMPLATES)
def project(request: pytest.FixtureRequest, room: Path) -> tuple[Template, Path]:
    """A new project, and that the person is told of its command."""
    template, place = TEMPLATES[request.param], room / request.param
    made = run(BIN / "callspan", "init", request.param, place)
    assert made.status == 0, made.stderr
    assert template.command in made.stderr
    return template, place


def outcome_of(template: Template, place: Path, **environment: str) -> Ran:
    """Its command, as typed in a terminal of its own; and nothing of it runs on."""
    mark = secrets.token_hex(8)
    # A make that runs these tests is no business of the template's make.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CALLSPAN_", "MAKE", "MFLAGS"))
    }
    ours = {"PATH": f"{BIN}:{os.environ['PATH']}", "TEMPLATE_TEST": mark}
    if "--offline" in template.command:
        # Another GHC that comes first on the PATH does not see the system's packages.
        ours["PATH"] = f"{BIN}:/usr/bin:{os.environ['PATH']}"
    ran = run("bash", "-c", template.command, cwd=place, env=inherited | ours | environment, patience_s=PATIENCE_S)
    until(lambda: not processes_with(f"TEMPLATE_TEST={mark}"), "what the tests started to end", 20)
    return ran


def processes_with(variable: str) -> list[str]:
    """Every living process that has it in its environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


def test_its_tests_pass(project: tuple[Template, Path]) -> None:
    template, place = project
    ran = outcome_of(template, place)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert re.search(template.passed, ran.stdout + ran.stderr, re.MULTILINE), ran.stdout + ran.stderr


def test_without_the_servers_its_tests_fail_and_say_what_is_missing(project: tuple[Template, Path], room: Path) -> None:
    template, place = project
    ran = outcome_of(template, place, CALLSPAN_BIN_DIR=str(room))
    assert ran.status != 0, ran.stdout + ran.stderr
    assert f"is not in {room}: put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR" in ran.stdout + ran.stderr
    assert not re.search(template.passed, ran.stdout + ran.stderr, re.MULTILINE), ran.stdout + ran.stderr
