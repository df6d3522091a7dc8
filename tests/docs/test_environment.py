"""The page of environment variables has those that the sources read, all of them and no other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from harness import ROOT

PAGE = ROOT / "docs" / "reference" / "environment.md"
REGISTRY = ROOT / "docs" / "environment.toml"

# A name of ours, wherever it stands; others where they are read.
OURS = re.compile(r"\bCALLSPAN_[A-Z0-9_]*[A-Z0-9]\b")
READ = {
    ".rs": re.compile(r"""\b(?:var|var_os|set|absolute|number)\(\s*"([A-Z][A-Z0-9_]+)"\s*\)"""),
    ".hs": re.compile(r"""lookupEnv (?:\[)?((?:"[A-Z0-9_]+",? ?)+)"""),
    ".py": re.compile(r"""\benviron(?:\.get\(|\.setdefault\(|\[)"([A-Z][A-Z0-9_]+)"(?!\] = )"""),
}
# Where programs are: the tests set variables of their own, and the documents speak of them.
SOURCES = [
    *("ipc/src", "rust-inference/src", "python-executor/src", "python-executor/python", "haskell-orchestrator/src"),
    *("scripts", "deploy", "nix", "Makefile", ".envrc", "flake.nix"),
    *("ipc/build.rs", "python-executor/build.rs"),
]


def sources() -> dict[Path, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        if "/test/" in name or name.endswith(("/tests.rs", ".md")):
            continue
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        # What follows is a test's.
        found[ROOT / name] = text.split("#[cfg(test)]\nmod tests", 1)[0]
    return found


def reads(path: Path, text: str) -> set[str]:
    found = set(OURS.findall(text))
    # Of what cargo tells a build script nobody is the master.
    if path.name != "build.rs" and (pattern := READ.get(path.suffix)):
        for match in pattern.findall(text):
            found |= set(re.findall(r"[A-Z][A-Z0-9_]+", match))
    return found


def listed() -> set[str]:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows)), "a variable is told twice"
    return set(rows)


def by_libraries() -> set[str]:
    groups = tomllib.loads(REGISTRY.read_text("utf-8"))["group"]
    return {name for group in groups if group.get("by-libraries") for name in group["variables"]}


def test_what_is_read_is_told() -> None:
    known = listed()
    unknown = {
        f"{path.relative_to(ROOT)} reads {name}"
        for path, text in sources().items()
        for name in reads(path, text) - known
    }
    assert not unknown, "say what they are for in docs/environment.toml, then make docs-reference"


def test_what_is_told_is_read() -> None:
    words = {word for text in sources().values() for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)}
    assert listed() - by_libraries() <= words, "remove it from docs/environment.toml, then make docs-reference"


def test_a_read_is_seen() -> None:
    assert reads(Path("a.rs"), 'env::var("HF_TOKEN") env!("CALLSPAN_PYTHON") println("X")') == {
        "HF_TOKEN",
        "CALLSPAN_PYTHON",
    }
    assert reads(Path("a.hs"), 'traverse lookupEnv ["XDG_RUNTIME_DIR", "TMPDIR"]') == {"XDG_RUNTIME_DIR", "TMPDIR"}
    assert reads(Path("a.py"), 'os.environ["RANK"] + os.environ.get("WORLD_SIZE", "1")') == {"RANK", "WORLD_SIZE"}
    assert reads(Path("a.py"), 'os.environ["GLIBC_TUNABLES"] = "x"') == set()
    assert reads(Path("build.rs"), 'env::var("OUT_DIR")') == set()
    assert reads(Path("a"), "${CALLSPAN_BIN:-none} $HOME") == {"CALLSPAN_BIN"}
