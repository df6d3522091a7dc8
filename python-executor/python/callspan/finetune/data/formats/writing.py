"""Writes samples as lines of the shapes that trainers of others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from callspan.finetune.data.lines import write_lines
from callspan.finetune.data.samples import Sample

SHAPES = ("trl", "mobile-actions")


def write(samples: Iterable[Sample], path: Path, shape: str = "trl", count: int | None = None) -> int:
    """Writes each turn of the samples, or the first `count`, as a line of one of SHAPES; how many."""
    if shape not in SHAPES:
        raise ValueError(f"{shape!r} is no shape; there are {', '.join(SHAPES)}")
    return write_lines(path, islice(_rows(samples, shape), count))


def _rows(samples: Iterable[Sample], shape: str) -> Iterator[dict[str, Any]]:
    for sample in samples:
        tools = [{"type": "function", "function": tool} for tool in sample.tools]
        for turn in sample.turns:
            first = [{"role": "developer", "content": sample.system}] if sample.system else []
            messages = [*first, *turn.messages, turn.answer]
            if shape == "mobile-actions":
                yield {"metadata": "train", "tools": [_capitals(tool) for tool in tools], "messages": messages}
            else:
                yield {"messages": messages, "tools": tools}


def _capitals(schema: Any) -> Any:
    """A tool with its types in capitals, as mobile-actions has them."""
    if isinstance(schema, list):
        return [_capitals(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        k: v.upper() if k == "type" and isinstance(v, str) and v != "function" else _capitals(v)
        for k, v in schema.items()
    }
