"""The drawing as a PNG, for documents that show no SVG."""

from pathlib import Path
from typing import Any

from callspan.evaluate.errors import Trouble
from callspan.evaluate.report import percent, remark, rows


def check() -> None:
    """Say at the start, not after an hour, that what draws is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise Trouble(
            "matplotlib is missing: --png draws with it", "pip install matplotlib, or leave --png out"
        ) from None


def save(made: dict[str, Any], path: Path) -> None:
    """Write right answers by kind, with their intervals."""
    # Not pyplot, which wants to know of screens.
    from matplotlib.figure import Figure

    groups = rows(made)
    figure = Figure(figsize=(8, 1 + 0.36 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for row, (name, group) in enumerate(groups):
        right = group["right"]
        share, low, high = right["rate"] or 0.0, right["low"], right["high"]
        # By a hair the interval may not hold the rate itself, where that is 0 or 1.
        error = [[max(0.0, share - low)], [max(0.0, high - share)]]
        axes.barh(row, share, xerr=error, color="#7aa6d8", capsize=3)
        axes.text(1.02, row, percent(right["rate"]), va="center")
        # Names are anybody's, and dollars in them no formulas.
        axes.text(-0.01, row, name, va="center", ha="right", parse_math=False)
    axes.set(xlim=(0, 1), yticks=[], xlabel="right, with 95 % intervals")
    # Why is in the other reports: it may be long.
    early = f"\n{remark(made).partition(':')[0]}" if remark(made) else ""
    axes.set_title(f"{made['server']}{early}", parse_math=False)
    axes.invert_yaxis()
    figure.savefig(path, dpi=150)
