"""The programs of deploy/ as the tests call them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness import ROOT, Ran, run

IMAGES = ROOT / "deploy" / "images"


def program(name: str, *arguments: str | Path, env: dict[str, str] | None = None, **options: object) -> Ran:
    """One of deploy/images, with what `env` adds."""
    return run(IMAGES / name, *arguments, env={**os.environ, **(env or {})}, **options)


def commit(checkout: Path) -> None:
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.com"]
    subprocess.run(["git", "-C", checkout, "add", "--all"], check=True)
    subprocess.run(
        ["git", "-C", checkout, *who, "commit", "--quiet", "--allow-empty", "--message=As it is"], check=True
    )
