"""A place for images, and deploy/images and buildah at work in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploying import program
from harness import Ran, run

BUILD_S = 300.0


@dataclass(frozen=True)
class Image:
    name: str
    id: str


@dataclass(frozen=True)
class Store:
    directory: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            # Takes no container engine.
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINER_TOOL": "buildah",
            # Nobody else's credentials.
            "REGISTRY_AUTH_FILE": str(self.directory / "none.json"),
            "TMPDIR": str(self.directory),
        }

    @classmethod
    def at(cls, directory: Path) -> Store:
        settings = f'graphroot = "{directory}/images"\nrunroot = "{directory}/run"\ndriver = "{driver(directory)}"\n'
        (directory / "storage.conf").write_text("[storage]\n" + settings)
        (directory / "none.json").write_text("{}")
        return cls(directory)

    def ours(self, name: str, *arguments: str | Path, **env: str) -> Ran:
        """One of deploy/images."""
        return program(name, *arguments, env=self.env | env, patience_s=BUILD_S)

    def tool(self, *command: str | Path) -> str:
        """What a command that must succeed prints."""
        ran = run(*command, env={**os.environ, **self.env}, patience_s=BUILD_S)
        assert ran.status == 0, ran.stderr
        return ran.stdout.strip()

    def build(self, *arguments: str | Path) -> list[Image]:
        ran = self.ours("build", *arguments)
        assert ran.status == 0, ran.stderr
        return [Image(*line.split(" ")) for line in ran.stdout.splitlines()]


@contextmanager
def new_store() -> Iterator[Store]:
    """Gone afterwards, whatever happened in it; not below pytest's own directories, which outlive a failed test."""
    directory = Path(tempfile.mkdtemp(prefix="callspan-images-", dir="/var/tmp"))
    try:
        yield Store.at(directory)
    finally:
        # Mounted on itself by the tools, as long as they are not told that it is to go.
        run("umount", "--recursive", directory / "images" / "overlay")
        shutil.rmtree(directory)


def driver(directory: Path) -> str:
    """vfs works on every file system, but each of its layers is a copy of all below it."""
    parts = [directory / part for part in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    options = ",".join(f"{part.name}dir={part}" for part in parts[:3])
    mounted = run("unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", parts[3])
    return "vfs" if mounted.status else "overlay"
