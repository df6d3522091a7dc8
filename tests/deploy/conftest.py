"""What the tests of deploy/ share: a clone of this checkout, programs in place of real ones that write down how they
were called, and the whole as `make install` puts it into an image or onto a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deploying import commit
from harness import ROOT, run
from stores import Image, Store, new_store


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This checkout as it is, changes included, committed: it is clean."""
    copy = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, copy], check=True)
    changed = ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"]
    for name in subprocess.run(changed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    commit(copy)
    return copy


@pytest.fixture
def stub(tmp_path: Path) -> Callable[..., Path]:
    """Makes programs that write their arguments, one a line, to called.log beside them, and do `body`."""
    bin_dir = tmp_path / "stubs"
    bin_dir.mkdir()

    def make(*names: str, body: str = "") -> Path:
        for name in names:
            program = bin_dir / name
            program.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >>{bin_dir}/called.log\n{body}\n')
            program.chmod(0o755)
        return bin_dir

    return make


@pytest.fixture(scope="session")
def installed() -> Iterator[Path]:
    """What `make install PREFIX=/usr/local DESTDIR=…` makes of the build that is there already, or made before for
    CALLSPAN_INSTALLED."""
    if made_before := os.environ.get("CALLSPAN_INSTALLED"):
        yield Path(made_before)
        return
    with tempfile.TemporaryDirectory(prefix="callspan-installed-", dir="/var/tmp") as name:
        tree = Path(name)
        tree.chmod(0o755)
        made = run("make", "-C", ROOT, "install", "PREFIX=/usr/local", f"DESTDIR={tree}", "PROFILE=dev", patience_s=600)
        assert made.status == 0, made.stderr
        # What a debugger needs is most of a dev build, and each layer of an image is a copy.
        for file in (tree / "usr/local/bin").iterdir():
            subprocess.run(["strip", file], check=True)
        yield tree


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with new_store() as store:
        yield store


@pytest.fixture(scope="session")
def base(store: Store) -> str:
    made = store.ours("base")
    assert made.status == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="session")
def images(store: Store, base: str, installed: Path) -> dict[str, Image]:
    """All of them; the programs in them are those that are installed."""
    names = ["inference", "executor", "orchestrator", "all"]
    return dict(zip(names, store.build("--base", base, "--prebuilt", installed), strict=True))
