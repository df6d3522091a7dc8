"""Reads pools, the values that many families use: `== city` and then cities, one a line or several between bars."""

from __future__ import annotations

from pathlib import Path

from callspan.finetune.data.kinds import parts


def read_pools(directory: Path) -> dict[str, list[str]]:
    """The pools of a directory's files, by name; a pool that stands in two of them has the values of both."""
    pools: dict[str, list[str]] = {}
    for path in sorted(directory.glob("*.pool")):
        name = ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.startswith("=="):
                name = line[2:].strip()
            elif line.strip() and not line.startswith("#"):
                if not name:
                    raise ValueError(f"{path.name}:{number}: a pool begins with `== name`")
                pools.setdefault(name, []).extend(parts(line))
    return pools
