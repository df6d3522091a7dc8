"""Reference pages, manual pages and completions are as they would be made of the programs today, and work."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import BIN, ROOT, run

DOCS = ROOT / "docs"
PROGRAMS = ["callspan", "ipc", "python-executor", "rust-inference"]


def test_what_is_committed_is_what_is_made() -> None:
    made = run(
        *("cargo", "run", "--locked", "--quiet", "-p", "docs-generate", "--"),
        *("--check", "--callspan", BIN / "callspan"),
        cwd=ROOT,
        patience_s=900,
    )
    assert made.status == 0, made.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_a_page_a_manual_and_completions(program: str) -> None:
    for name in [
        *(f"reference/{program}.md", f"man/{program}.1"),
        *(f"completions/{program}.bash", f"completions/{program}.fish", f"completions/_{program}"),
    ]:
        assert (DOCS / name).stat().st_size, name


COMPLETED = pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["callspan", "a"], "ask"),
        (["callspan", "ask", "--exec"], "--executor"),
        (["ipc", ""], "tap"),
        (["ipc", "tap", "--format", ""], "json"),
        (["python-executor", "--isolation", "f"], "full"),
        (["python-executor", "doc"], "doctor"),
        (["rust-inference", "--weights", "q"], "q8"),
        (["rust-inference", "accept", "--argument-order", "de"], "declared"),
    ],
)


@COMPLETED
def test_bash_completes(words: list[str], offered: str) -> None:
    program, last = words[0], words[-1]
    script = f"""
        . {shlex.quote(str(DOCS / "completions" / f"{program}.bash"))}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
        function=$(complete -p {program}) && function=${{function#*-F }} && function=${{function%% *}}
        "$function" {program} {shlex.quote(last)} {shlex.quote(words[-2])}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    completed = run("bash", "--noprofile", "--norc", "-c", script)
    assert offered in completed.stdout.split(), completed.stderr


@COMPLETED
@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
def test_fish_completes(words: list[str], offered: str, room: Path) -> None:
    script = f"source {shlex.quote(str(DOCS / 'completions' / f'{words[0]}.fish'))}; complete -C $argv"
    completed = run(
        "fish", "--no-config", "-c", script, " ".join(words), cwd=room, env=os.environ | {"HOME": str(room)}
    )
    assert offered in [line.split("\t")[0] for line in completed.stdout.splitlines()], completed


@COMPLETED
@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh")
def test_zsh_completes(words: list[str], offered: str, room: Path) -> None:
    """In a terminal, because zsh completes nowhere else, and from where several are offered, so that it lists them."""
    stem = "--" if words[-1].startswith("--") else ""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=room,
        env=os.environ | {"TERM": "dumb", "HOME": str(room), "ZDOTDIR": str(room)},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        fpath = shlex.quote(str(DOCS / "completions"))
        said = types(
            ours, f"stty -echo; fpath=({fpath} $fpath); autoload -U compinit; compinit -u -D; PS1=rea''dy\r", "ready"
        )
        said += types(ours, f"{shlex.join(words[:-1])} {stem}\t\t", rf"(?<!\S){offered}\s")
        assert re.search(rf"(?<!\S){offered}\s", said), said
    finally:
        os.killpg(shell.pid, 9)
        shell.wait()
        os.close(ours)


def types(terminal: int, keys: str, awaited: str) -> str:
    """What is shown until what is awaited comes, or nothing more does."""
    os.write(terminal, keys.encode())
    said = ""
    while not re.search(awaited, said) and select.select([terminal], [], [], 10)[0]:
        said += os.read(terminal, 1 << 16).decode(errors="replace")
    return said


def test_what_programs_start_themselves_is_not_offered() -> None:
    for file in (DOCS / "completions").glob("*python-executor*"):
        assert "zygote)" not in file.read_text("utf-8"), file
    assert not (DOCS / "man" / "python-executor-zygote.1").exists()
