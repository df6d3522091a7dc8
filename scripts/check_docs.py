"""Checks what the documents claim and a reader would stumble over: that links to local files lead somewhere, that
make targets and cargo packages in commands exist, and that SPECIFICATION.md names only tests that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"(?:^|`|\$ |&& )make +([a-z][a-z0-9-]*)", re.MULTILINE)
PACKAGE = re.compile(r"\bcargo [^`\n]*?-p +([\w-]+)")
# A promise names its test as `file::name`; in Haskell, where tests are sentences, the name is the sentence.
TEST = re.compile(r"`([\w./-]+\.(?:rs|py|hs))::([^`]+)`")
# A numbered promise of the specification, as a table's row or a list's item.
PROMISE = re.compile(r"^(?:\| *(\d[\d.]*) *\||(\d+)\. )", re.MULTILINE)


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(document: Path, text: str) -> list[str]:
    found = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists():
            found.append(f"link to {target}, which does not exist")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            found.append(f"link to {target}, which has no such heading")
    return found


def unknown_commands(text: str) -> list[str]:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    packages = {manifest.parent.name for manifest in ROOT.glob("*/Cargo.toml")}
    # Only code is a command: fenced, indented by a prompt, or in backticks.
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    found = [f"`make {name}`, which is no target" for name in MAKE.findall(code) if name not in targets]
    return found + [
        f"`cargo … -p {name}`, which is no package" for name in PACKAGE.findall(code) if name not in packages
    ]


def missing_tests(text: str) -> list[str]:
    found = []
    for file, name in TEST.findall(text):
        path = ROOT / file
        if not path.is_file():
            found.append(f"the test file {file}, which does not exist")
        elif not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", path.read_text("utf-8")):
            found.append(f"the test {file}::{name}, which does not exist")
    return found


def promises_without_a_test(text: str) -> list[str]:
    starts = list(PROMISE.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        f"promise {start.group(1) or start.group(2)}, which names no test"
        for start, end in zip(starts, ends, strict=True)
        if not TEST.search(text[start.start() : end])
    ]


def main() -> int:
    problems = []
    for document in documents():
        text = document.read_text("utf-8")
        found = broken_links(document, text) + unknown_commands(text)
        if document.name == "SPECIFICATION.md":
            found += missing_tests(text) + promises_without_a_test(text)
            if not TEST.search(text):
                found.append("no test at all")
        problems += [f"{document.relative_to(ROOT)}: names {problem}" for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
