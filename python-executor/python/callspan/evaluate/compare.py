"""Two reports of the same cases side by side, and whether the difference may be chance.

Only cases that both have are compared, each with itself: what both get right, or both wrong, says nothing about which
is better. p is McNemar's, exact and two-sided: how often two equally good servers would differ at least so much.
"""

from pathlib import Path
from typing import Any

from callspan.evaluate.errors import Trouble
from callspan.evaluate.intervals import mcnemar
from callspan.evaluate.report import columns, load, percent, remark


def compare(first: Path, second: Path) -> str:
    """The comparison of two report.json as text."""
    return side_by_side(load(first), load(second), (str(first), str(second)))


def side_by_side(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> str:
    """The comparison of two reports, by these names, as text."""
    a, b = ({case["id"]: case for case in made["cases"]} for made in (first, second))
    both = [name for name in a if name in b]
    if not both:
        raise Trouble(f"{names[0]} and {names[1]} have no case in common", "compare reports of the same sets")
    changed = [name for name in both if a[name]["expect"] != b[name]["expect"] or a[name]["asked"] != b[name]["asked"]]
    if changed:
        raise Trouble(f"{changed[0]} is another case in {names[1]}", "compare reports of the same sets")
    rows = [["", "cases", "A", "B", "only A", "only B", "p"]]
    kinds = dict.fromkeys(a[name]["kind"] for name in both)
    for kind in kinds:
        rows.append(_row(kind, [name for name in both if a[name]["kind"] == kind], a, b))
    splits = dict.fromkeys(a[name]["split"] for name in both if a[name]["split"])
    for split in splits:
        rows.append(_row(f"split {split}", [name for name in both if a[name]["split"] == split], a, b))
    rows.append(_row("all", both, a, b))
    early = [f", {told}" if (told := remark(made)) else "" for made in (first, second)]
    lines = [f"A: {names[0]}{early[0]}", f"B: {names[1]}{early[1]}", "", columns(rows)]
    alone = len(a) + len(b) - 2 * len(both)
    return "\n".join([*lines, f"{alone} cases that only one of them has are left out"] if alone else lines)


def _row(name: str, ids: list[str], a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    pairs = [(a[one]["right"], b[one]["right"]) for one in ids]
    only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
    rates = [percent(sum(pair[which] for pair in pairs) / len(pairs)) for which in (0, 1)]
    return [name, str(len(ids)), *rates, str(only_a), str(only_b), f"{mcnemar(only_a, only_b):.3g}"]
