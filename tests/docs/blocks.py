"""What documents show: fenced blocks, and in those of a console what is typed and what comes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A block that begins so is the file of that name.
FILE = re.compile(r"^(?:#|//) ([\w./-]+\.\w+)\n")


@dataclass
class Block:
    document: Path
    line: int
    language: str
    text: str


@dataclass
class Typed:
    """A command of a console block, and what is shown below it."""

    line: int
    command: str
    shown: str


def blocks(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    return [Block(document, text.count("\n", 0, found.start()) + 1, *found.groups()) for found in FENCE.finditer(text)]


def typed(block: Block) -> list[Typed]:
    """What is typed stands behind `$ `; a \\ at the end of a line goes on in the next."""
    commands: list[Typed] = []
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if line.startswith("$ "):
            commands.append(Typed(number, line[2:], ""))
        elif commands and commands[-1].command.endswith("\\") and not commands[-1].shown:
            commands[-1].command += "\n" + line
        else:
            assert commands, f"{block.document.relative_to(ROOT)}:{number}: a console block begins with `$ `"
            commands[-1].shown += line + "\n"
    return commands


def pattern(shown: str) -> re.Pattern[str]:
    """What output must look like to be what is shown. … stands for anything on a line, alone on a line for any lines;
    how long something took, when it was and which random id it got is not the same twice."""
    words = []
    for line in normal(shown).splitlines():
        escaped = r"[^\n]*".join(re.escape(part) for part in line.split("…"))
        words.append(r"(?:.*\n)*" if line == "…" else re.sub(ID, lambda _: rf"({ID})", escaped) + "\n")
    return re.compile("".join(words))


ID = r"\b[0-9a-f]{16}\b"
CHANGING = [
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (ms|s|B)\b"), r"N \1"),
    (re.compile(r'("\w+_us":)\d+'), r"\1N"),
    # Where namespaces are forbidden it is reduced; none would be told.
    (re.compile(r"isolation (?:full|reduced)\b"), "isolation LEVEL"),
    (re.compile(r" +"), " "),
    (re.compile(r" +$", re.MULTILINE), ""),
]


def normal(text: str) -> str:
    for changing, placeholder in CHANGING:
        text = changing.sub(placeholder, text)
    return text


def ids(text: str) -> list[str]:
    return re.findall(ID, text)
