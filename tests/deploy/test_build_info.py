"""`scripts/build-info`: what images are labelled with follows from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

from deploying import commit
from harness import Ran, run

KEY = "org.opencontainers.image."


def ask(checkout: Path, **env: str) -> Ran:
    own = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    return run(checkout / "scripts" / "build-info", env={**own, **env})


def told(checkout: Path, **env: str) -> dict:
    ran = ask(checkout, **env)
    assert ran.status == 0, ran.stderr
    return json.loads(ran.stdout)


def git(checkout: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", "-C", checkout, *arguments], check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def test_it_tells_the_commit_and_its_time(clone: Path) -> None:
    info = told(clone)
    workspace = tomllib.loads((clone / "Cargo.toml").read_text())["workspace"]["package"]
    assert info["version"] == workspace["version"]
    assert info["licenses"] == workspace["license"]
    assert info["revision"] == git(clone, "rev-parse", "HEAD")
    assert not info["dirty"]
    assert info["epoch"] == int(git(clone, "log", "-1", "--format=%ct"))
    assert sorted(info["images"]) == ["all", "executor", "inference", "orchestrator"]
    for name, labels in info["images"].items():
        assert labels[KEY + "title"] == f"callspan-{name}"
        assert labels[KEY + "description"]
        for key in ("version", "revision", "created", "licenses"):
            assert labels[KEY + key] == info[key], (name, key)
    # Twice the same: nothing of the moment is in it.
    assert told(clone) == info


def test_a_change_is_told_also_of_a_file_that_git_does_not_know(clone: Path) -> None:
    clean = told(clone)
    (clone / "new").touch()
    changed = told(clone)
    assert changed["dirty"]
    assert changed["revision"] == clean["revision"] + "-dirty"
    assert {labels[KEY + "revision"] for labels in changed["images"].values()} == {changed["revision"]}
    # Whose git keeps quiet about new files has them in the images all the same.
    git(clone, "config", "status.showUntrackedFiles", "no")
    assert told(clone) == changed


def test_what_git_cannot_tell_is_not_called_unchanged(clone: Path) -> None:
    (clone / ".git" / "index").write_text("not an index")
    refused = ask(clone)
    assert (refused.status, refused.stdout) == (1, "")
    assert "cannot tell whether the checkout has changes" in refused.stderr


def test_a_time_can_be_given(clone: Path) -> None:
    info = told(clone, SOURCE_DATE_EPOCH="86400")
    assert (info["epoch"], info["created"]) == (86400, "1970-01-02T00:00:00Z")
    refused = ask(clone, SOURCE_DATE_EPOCH="yesterday")
    assert (refused.status, refused.stdout) == (2, "")
    assert "yesterday" in refused.stderr


def test_addresses_are_those_of_cargo_and_none_is_invented(clone: Path) -> None:
    manifest = clone / "Cargo.toml"
    text = manifest.read_text()
    known = tomllib.loads(text)["workspace"]["package"]
    labels = told(clone)["images"]["all"]
    assert labels.get(KEY + "source") == known.get("repository")
    assert labels.get(KEY + "documentation") == known.get("documentation")
    manifest.write_text(
        text.replace("[workspace.package]\n", '[workspace.package]\nrepository = "https://a.example/b"\n')
    )
    commit(clone)
    assert told(clone)["images"]["all"][KEY + "source"] == "https://a.example/b"


def test_what_is_missing_is_told_and_nothing_printed(clone: Path, tmp_path: Path) -> None:
    cabal = clone / "haskell-orchestrator" / "callspan.cabal"
    cabal.write_text(cabal.read_text().replace("synopsis:", "category:"))
    incomplete = ask(clone)
    assert (incomplete.status, incomplete.stdout) == (1, "")
    assert "orchestrator" in incomplete.stderr
    no_git = shutil.copytree(clone, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    refused = ask(no_git)
    assert (refused.status, refused.stdout) == (1, "")
    assert "no git checkout" in refused.stderr
    assert "fix:" in refused.stderr
