"""A run's directory: what it was asked for, its checkpoints, and which of these is whole.

A checkpoint is whole when its last file is there, which is written behind all others. One that was cut off, by a
kill or a full disk, is no checkpoint, and the one before it is still there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callspan.finetune.bases import read_json
from callspan.finetune.errors import FinetuneError, disk_full, first, say

RUN = "finetune.json"
FOLDER = "checkpoints"
WHOLE = "whole"
PART = "result.part"
KEPT = 2


class Run:
    """The directory of a run: `done` looks what is in it, `begin` makes it."""

    def __init__(self, out: Path, asked: dict[str, Any]) -> None:
        """`asked` is what must be the same for the run to be gone on with."""
        self.out, self.asked = out, asked
        self.folder = out / FOLDER

    def done(self) -> bool:
        """Whether this very run is done already; another run, or anything else, is not written over.

        A run without a checkpoint has nothing to lose: it may begin anew with what mends why it ended.
        """
        path = self.out / RUN
        if path.is_file():
            found = read_json(path, "give another --out, or remove it")
            done = bool(found.get("done"))
            if done or self._whole():
                self._compare(found)
            return done
        if first() and self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise FinetuneError(f"{self.out} is there, and holds no run", "give another --out, or empty it")
        return False

    def begin(self) -> None:
        """Makes the directory: when all that could be wrong with what was asked for has been looked at."""
        if first():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(done=False)

    def _compare(self, found: dict[str, Any]) -> None:
        """A run that was asked for otherwise is not gone on with."""
        before = found.get("asked", {})
        other = [key for key, value in _plain(self.asked).items() if before.get(key) != value]
        if other:
            was = ", ".join(f"{key} was {before.get(key)!r} and is {_plain(self.asked)[key]!r}" for key in other)
            raise FinetuneError(f"{self.out} holds another run: {was}", "give the same command, or another --out")

    def _write(self, done: bool) -> None:
        path = self.out / RUN
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"done": done, "asked": self.asked}, indent=1) + "\n", "utf-8")
        part.replace(path)

    def last(self) -> Path | None:
        """The last whole checkpoint; those that are not are removed."""
        whole = self._whole()
        if first():
            for path in set(self.folder.glob("checkpoint-*")) - set(whole):
                say(f"{path} was cut off, and is removed")
                shutil.rmtree(path)
        return whole[-1] if whole else None

    def _whole(self) -> list[Path]:
        found = sorted(self.folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        return [path for path in found if (path / WHOLE).is_file()]

    def seal(self, step: int) -> None:
        """Marks a checkpoint as whole, when all of it is on the disk."""
        path = self.folder / f"checkpoint-{step}"
        for file in path.iterdir():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
        (path / WHOLE).touch()

    @contextmanager
    def room(self) -> Iterator[None]:
        """Tells of a full disk, from whatever library it comes, and gives back what a checkpoint cut off has taken."""
        try:
            yield
        except Exception as error:
            if not disk_full(error, self.out):
                raise
            shutil.rmtree(self.out / PART, ignore_errors=True)
            last = self.last()
            kept = f"; {last.name} is whole" if last else "; there is no checkpoint yet"
            fix = "make room, and give the same command again: it goes on from there"
            raise FinetuneError(f"the disk is full, where {self.out} is{kept}", fix, status=1) from error

    def finish(self) -> None:
        """The result is there: the checkpoints have done their work."""
        self._write(done=True)
        shutil.rmtree(self.folder)


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    """As it is read back."""
    return json.loads(json.dumps(asked))
