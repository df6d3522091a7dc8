"""JSON lines: read with their place, so that what is wrong in one is told as `FILE:LINE: why`, and written."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# What is raised where an object is not of the shape that is read out of it.
MISSHAPEN = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


def why(error: Exception) -> str:
    """What one of MISSHAPEN says to a person."""
    return f"there is no {error}" if isinstance(error, KeyError) else str(error)


def parse(line: str) -> dict[str, Any]:
    """The object of a line."""
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("a line is a JSON object")
    return row


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a file, gzipped or not, behind its place: `FILE:LINE`."""
    place = path.name
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                place = f"{path.name}:{number}"
                yield place, parse(line)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{place}: {error}") from None


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes a line for each object; how many."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            written += 1
    return written
