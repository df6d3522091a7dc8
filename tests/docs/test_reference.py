"""Reference pages, manual pages and completions are as they would be made of the programs today, and work."""

from __future__ import annotations

import shlex

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


@pytest.mark.parametrize(
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


def test_what_programs_start_themselves_is_not_offered() -> None:
    for file in (DOCS / "completions").glob("*python-executor*"):
        assert "zygote)" not in file.read_text("utf-8"), file
    assert not (DOCS / "man" / "python-executor-zygote.1").exists()
