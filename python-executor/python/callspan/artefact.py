"""Files that a tool returns: a picture, a table, anything that is no JSON.

An Artefact may stand anywhere in a tool's result. The bytes go their own way to whoever called; in the result a few
words stand for them, because a model can do nothing with a picture's bytes.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

from callspan import channel
from callspan.errors import BadResult

MAX_BYTES = 4 << 20
MAX_COUNT = 64
MAX_NAME = 100

_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}(; ?[\w-]+=[\w.+-]{1,64})?", re.ASCII
)
_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"|?*\u2028\u2029\u202a-\u202e\u2066-\u2069]+')


class Artefact:
    """A file to hand over: its bytes, or the path of a file in the scratch directory, which is read at once.

    >>> Artefact(b"a,b", "text/csv", "table.csv")
    """

    __slots__ = ("data", "media_type", "name")

    def __init__(
        self, data: bytes | bytearray | memoryview | Path, media_type: str = "application/octet-stream", name: str = ""
    ) -> None:
        """Check everything here, where the tool sees what is wrong with it."""
        if isinstance(data, Path):
            name = name or data.name
            data = _read(data)
        elif not isinstance(data, bytes | bytearray | memoryview):
            hint = "; encode a text: text.encode()" if isinstance(data, str) else ""
            raise TypeError(f"an artefact is made of bytes or of a Path, not of {type(data).__name__}{hint}")
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise ValueError(f"{media_type!r} is no media type, such as image/png or text/csv")
        self.data = bytes(data)
        self.media_type = str(media_type)
        self.name = plain_name(name)
        if len(self.data) > MAX_BYTES:
            raise _too_large()

    def __repr__(self) -> str:
        """Not the bytes."""
        return f"Artefact({self.name!r}, {self.media_type}, {len(self.data)} bytes)"


_slots = [Artefact.__dict__[name].__get__ for name in ("name", "media_type", "data")]


class Outbox:
    """The artefacts of one call: bounded together, each under a name of its own."""

    def __init__(self) -> None:
        """Nothing was handed over yet."""
        self.bytes = 0
        self._said: dict[str, dict[str, Any]] = {}
        self._taken: dict[int, tuple[Artefact, str]] = {}
        self._waiting: list[tuple[str, str, bytes]] = []

    def put(self, artefact: Artefact) -> dict[str, Any]:
        """Take an artefact, to be sent; gives what stands for it in the result. Runs no code of the tool's."""
        if id(artefact) in self._taken:
            return self._said[self._taken[id(artefact)][1]]
        try:
            name, media_type, data = [get(artefact) for get in _slots]
        except AttributeError:
            raise BadResult("an artefact has lost its name, media type or data") from None
        if type(name) is not str or type(media_type) is not str or type(data) is not bytes:
            raise BadResult("an artefact was changed: its name and media type are str, and its data is bytes")
        if self.bytes + len(data) > MAX_BYTES:
            raise _too_large()
        if len(self._said) >= MAX_COUNT:
            raise BadResult(f"there are more than {MAX_COUNT} artefacts: return fewer, for example an archive")
        if channel.current is None:
            raise BadResult("nobody takes artefacts here")
        name = self._free(plain_name(name))
        self.bytes += len(data)
        self._taken[id(artefact)] = (artefact, name)  # kept, so that its id stays its own
        self._waiting.append((name, media_type, data))
        self._said[name] = {"artefact": name, "media_type": media_type, "bytes": len(data)}
        return self._said[name]

    def send(self) -> None:
        """Hand over what waits."""
        waiting, self._waiting = self._waiting, []
        for name, media_type, data in waiting:
            if channel.current is not None:
                channel.current.artefact(name, media_type, data)

    def _free(self, name: str) -> str:
        stem, dot, end = name.rpartition(".")
        stem, end = (stem, dot + end) if stem else (name, "")
        names = (name if n == 1 else f"{stem}-{n}{end}" for n in range(1, MAX_COUNT + 2))
        return next(free for free in names if free not in self._said)


def plain_name(name: str) -> str:
    """A name that is a file's on any system: no directories, no control characters, not hidden, not long."""
    last = re.split(r"[/\\]", name)[-1].encode("utf-8", "replace").decode()
    last = _UNFIT.sub("_", last).strip(" .") or "artefact"
    stem, dot, end = last.rpartition(".")
    if len(last) <= MAX_NAME:
        return last
    return f"{stem[: MAX_NAME - 1 - len(end)]}.{end}" if stem and dot and len(end) < 10 else last[:MAX_NAME]


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no plain file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large()
    return data


def _too_large() -> BadResult:
    return BadResult(f"the artefacts are larger than {MAX_BYTES >> 20} MiB together: return less, or smaller ones")
