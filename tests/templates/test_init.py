"""`callspan init` as a person types it, with the templates that come with the program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import BIN, ROOT, run

NAMES = ["agent-haskell", "client-elixir", "client-node", "client-python", "tools"]


def kept(template: str) -> list[str]:
    """The files of a template, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=ROOT / "templates" / template,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(listed.stdout.splitlines())


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_the_templates_are_listed_on_stdout_each_with_its_title(arguments: list[str]) -> None:
    listed = run(BIN / "callspan", "init", *arguments)
    assert (listed.status, listed.stderr) == (0, "")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == NAMES
    for line in listed.stdout.splitlines():
        name, title = line.split(maxsplit=1)
        assert (ROOT / "templates" / name / "README.md").read_text().startswith(f"# {title}\n")


@pytest.mark.parametrize("template", NAMES)
def test_a_project_is_the_template_to_the_byte(template: str, room: Path) -> None:
    place = room / template
    made = run(BIN / "callspan", "init", template, place)
    assert (made.status, made.stdout) == (0, ""), made.stderr
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()) == kept(template)
    for name in kept(template):
        assert (place / name).read_bytes() == (ROOT / "templates" / template / name).read_bytes()
    first, second, *commands = made.stderr.splitlines()
    assert first == f"made {place} from the template {template}; next:"
    assert second == f"  cd {place}"
    assert commands


def test_what_cannot_be_made_is_said_in_two_lines(room: Path) -> None:
    taken = room / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    for arguments, words in [
        (["nothing", room / "new"], ["there is no template nothing", ", ".join(NAMES)]),
        (["tools"], ["no directory was given", "callspan init tools DIR"]),
        (["tools", taken], [f"{taken} is not empty", "an empty one"]),
        (["tools", room / "a" / "b"], ["there is no directory", f"mkdir -p {room}/a"]),
        (["tools", room / "new", "more"], ["more", "callspan init --help"]),
    ]:
        ran = run(BIN / "callspan", "init", *arguments)
        assert (ran.status, ran.stdout) == (2, ""), ran
        assert len(ran.stderr.splitlines()) == 2, ran.stderr
        assert [word for word in words if word not in ran.stderr] == []
    assert [path.name for path in taken.iterdir()] == ["mine"]
    assert not (room / "new").exists()


def test_a_place_that_cannot_be_written_is_said() -> None:
    ran = run(BIN / "callspan", "init", "tools", "/dev/null/new")
    assert (ran.status, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[0] == "callspan: /dev/null/new cannot be made: Not a directory"


def test_an_installed_program_finds_them_beside_itself(room: Path) -> None:
    prefix = room / "prefix"
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(BIN / "callspan", prefix / "bin")
    without = run(prefix / "bin" / "callspan", "init")
    assert without.status == 1
    assert f"there are no templates beside callspan, in {prefix}" in without.stderr
    shutil.copytree(ROOT / "templates", prefix / "share" / "callspan" / "templates")
    # Another's directory of that name is not taken for ours.
    (prefix / "templates").mkdir()
    listed = run(prefix / "bin" / "callspan", "init")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == NAMES
    elsewhere = run(prefix / "bin" / "callspan", "init", env=os.environ | {"CALLSPAN_TEMPLATES": "/proc/nowhere"})
    assert (elsewhere.status, elsewhere.stdout) == (1, "")
    assert "CALLSPAN_TEMPLATES (/proc/nowhere)" in elsewhere.stderr
