"""What a document's console shows is what comes of it: every command of every console block is run, in order, in one
shell for each document, with the workspace's programs on PATH."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
from blocks import FILE, Typed, blocks, ids, normal, pattern, typed
from check_docs import documents
from harness import BIN, ROOT, VENV

# Commands that are not run, by their beginnings, and why not.
NOT_RUN = {
    "socat -t 600 - UNIX-CONNECT:": "what follows is typed into it; test_by_hand.py does that",
    "ipc tap /tmp/tap.sock": "it shows lines beside those of the next command; ipc/tests/tap_view.rs has them",
    'callspan ask "Set an alarm for 7" --inference /tmp/tap.sock': "there is no such tap",
    "rust-inference bench": "it takes minutes",
    "make test-finetune": "it takes ten minutes and an environment of its own",
    "curl -s http://127.0.0.1:8080": "somebody may have that port; tests/clients has the front door",
}
# Commands whose output is not compared.
NOT_COMPARED = {
    'callspan ask "How many miles is 12 km?" --tap': "of two taps each shows its frames at its own pace",
    "ipc call /tmp/inf.sock generate - < lamp.json": "how fragments are cut depends on how fast they are read",
}

# A template's is shown to who has copied it, and is run by tests of its own.
TEMPLATES = ROOT / "templates"

SHOWN = {
    document: commands
    for document in documents()
    if TEMPLATES not in document.parents
    and (commands := [one for block in blocks(document) if block.language == "console" for one in typed(block)])
}


class Shell:
    """A shell that commands are typed into, and that shows both of their outputs."""

    END = "the-command-has-ended"

    def __init__(self, room: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CALLSPAN_")}
        environment |= {
            "PATH": f"{BIN}:{VENV / 'bin'}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(room),
            "NO_COLOR": "1",
        }
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=room,
            env=environment,
            start_new_session=True,
        )

    def type(self, command: str) -> tuple[str, int]:
        """What it shows, and its exit status."""
        assert self.process.stdin
        assert self.process.stdout
        line = f"{{ {command}\n}} </dev/null; printf '%s %s\\n' {self.END} $?\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        said = b""
        deadline = time.monotonic() + harness.PATIENCE_S
        while not (end := re.search(rb"^%s (\d+)\n" % self.END.encode(), said, re.MULTILINE)):
            left = deadline - time.monotonic()
            assert harness.readable(self.process.stdout, max(left, 0)), f"{command}: not done in time\n{said.decode()}"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, f"{command}: the shell has ended\n{said.decode()}"
            said += piece
        return said[: end.start()].decode(), int(end[1])


@pytest.fixture
def shell(room: Path) -> Iterator[Shell]:
    shell = Shell(room)
    yield shell
    os.killpg(shell.process.pid, 9)
    shell.process.wait()


def begins(command: str, table: dict[str, str]) -> bool:
    return any(command.startswith(beginning) for beginning in table)


def prepare(document: Path, room: Path, start_at: object) -> None:
    """Makes the files that the document shows, and starts the servers at the sockets that its commands name."""
    for block in blocks(document):
        if found := FILE.match(block.text):
            file = room / found[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, "utf-8")
    commands = "\n".join(one.command for one in SHOWN[document])
    tools = room / "mytools" if (room / "mytools").is_dir() else harness.TOOLS
    for name, socket, arguments in [
        ("rust-inference", "inf.sock", ()),
        ("python-executor", "exec.sock", ("--tools", tools, "--venv", VENV)),
    ]:
        if f"/tmp/{socket}" in commands:
            start_at(name, *arguments, at=socket)


def differs(one: Typed, said: str, status: int, room: Path, known: dict[str, str]) -> str:
    """What is not as shown; empty: nothing. `known` gets the ids that came for those that are shown."""
    if not one.shown or begins(one.command, NOT_COMPARED):
        return "" if status == 0 else f"ended with {status} and said\n{said}"
    expected = one.shown.replace("/tmp/", f"{room}/")
    for shown_id, came in known.items():
        expected = expected.replace(shown_id, came)
    found = pattern(expected).fullmatch(normal(said if said.endswith("\n") else said + "\n"))
    if not found:
        return f"is shown with\n{expected}and gave\n{said}"
    known.update(zip(ids(expected), found.groups(), strict=True))
    return ""


@pytest.mark.parametrize("document", SHOWN, ids=lambda document: str(document.relative_to(ROOT)))
def test_what_is_shown_is_what_comes(document: Path, room: Path, shell: Shell, start: object) -> None:
    prepare(document, room, start)
    known: dict[str, str] = {}
    wrong = []
    for one in SHOWN[document]:
        if begins(one.command, NOT_RUN):
            continue
        # What `cat` shows is what is in a file that nobody has made yet.
        if (cat := re.fullmatch(r"cat ([\w./-]+)", one.command)) and not (room / cat[1]).exists():
            (room / cat[1]).write_text(one.shown, "utf-8")
        command = one.command.replace("/tmp/", f"{room}/")
        for shown_id, came in known.items():
            command = command.replace(shown_id, came)
        said, status = shell.type(command)
        if problem := differs(one, said, status, room, known):
            wrong.append(f"{document.relative_to(ROOT)}:{one.line}: `{one.command}` {problem}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("beginning", [*NOT_RUN, *NOT_COMPARED])
def test_what_is_left_out_is_there(beginning: str) -> None:
    assert any(one.command.startswith(beginning) for commands in SHOWN.values() for one in commands)


def test_a_difference_is_found() -> None:
    """This test of documents can fail: each is no longer what is shown, and the last two are."""
    room = Path("/tmp")
    for shown, said in [
        ("a\n", "b\n"),
        ("a … c\n", "a b d\n"),
        ("a\n", "a\nb\n"),
        ("isolation full\n", "isolation none\n"),
        ('{"wall_us":1}\n', '{"wall":2}\n'),
    ]:
        assert differs(Typed(1, "x", shown), said, 0, room, {}), (shown, said)
    assert differs(Typed(1, "x", ""), "", 1, room, {})
    known: dict[str, str] = {}
    shown = 'a … 0.8 ms, isolation full\n…\n{"session":"2f8ae0c1b96d5e07"}\n'
    said = 'a b 12 ms, isolation reduced\nmany\nlines\n{"session":"0123456789abcdef"}'
    assert differs(Typed(1, "x", shown), said, 0, room, known) == ""
    assert known == {"2f8ae0c1b96d5e07": "0123456789abcdef"}
