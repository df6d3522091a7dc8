"""What a run is worth: the rates of all cases, of each kind and of each split, as a table and as report.json.

All rates are from 0 to 1 with Wilson's 95 % interval, times in milliseconds with that of their order statistics.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from callspan.evaluate.errors import Trouble
from callspan.evaluate.intervals import quantile, quantile_interval, wilson
from callspan.evaluate.judge import Verdict

FORM = 1
"""The form of report.json; another number is another form."""


def report(
    verdicts: list[Verdict], server: str, sets: list[str], options: dict[str, Any], ended: dict[str, Any] | None
) -> dict[str, Any]:
    """The whole report of at least one verdict; `ended` is of how many cases it would have been, and why it is not."""
    return {
        "callspan_evaluation": FORM,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server,
        "options": options,
        "sets": sets,
        "ended": ended,
        "all": figures(verdicts),
        "kinds": {kind: figures(some) for kind, some in _by(verdicts, "kind").items()},
        "splits": {
            name: figures(ones) | {"kinds": {kind: figures(some) for kind, some in _by(ones, "kind").items()}}
            for name, ones in _by(verdicts, "split").items()
        },
        "cases": [verdict.json() for verdict in verdicts],
    }


def _by(verdicts: list[Verdict], what: str) -> dict[str, list[Verdict]]:
    """The verdicts of each kind or split, in the order in which they come first; the nameless split is none."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if name := getattr(verdict, what):
            groups.setdefault(name, []).append(verdict)
    return groups


def rows(made: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What tables and drawings have a row for: kinds and splits, or where they cross, the kinds of each split."""
    kinds = [kind for one in made["splits"].values() for kind in one["kinds"]]
    if len(kinds) == len(set(kinds)):
        parts = [*made["kinds"].items(), *((f"split {name}", one) for name, one in made["splits"].items())]
    else:
        parts = [
            (f"{split}: {name}", of)
            for split, one in made["splits"].items()
            for name, of in [*one["kinds"].items(), ("all", one)]
        ]
    return [*parts, ("all", made["all"])]


def figures(verdicts: list[Verdict]) -> dict[str, Any]:
    """The figures of some cases."""
    due, refuse = ([one for one in verdicts if one.due == what] for what in ("call", "refuse"))
    answered = [one.latency_ms for one in verdicts if not one.error]
    return {
        "cases": len(verdicts),
        "right": rate(one.right for one in verdicts),
        "strict": rate(one.strict for one in verdicts),
        # The right tools, each as often as it is due, whatever their arguments are.
        "selection": rate(
            _names(one.calls) == _names(one.expect["calls"]) for one in due if one.expect["calls"] != "any"
        ),
        # Whatever was called where a call is due, and nothing called where no tool fits: right or not.
        "relevance": rate(bool(one.calls) for one in due),
        "irrelevance": rate(not one.valid and not one.error for one in refuse),
        "valid": rate(good for one in verdicts for good in one.valid),
        "errors": sum(bool(one.error) for one in verdicts),
        "latency_ms": {"median": _time(answered, 0.5), "p95": _time(answered, 0.95)},
    }


def _names(calls: list[dict[str, Any]]) -> Counter[str]:
    return Counter(call["name"] for call in calls)


def rate(good: Iterable[bool]) -> dict[str, Any]:
    """So many of so many, and how sure that is; no rate of nothing."""
    each = list(good)
    right, of = sum(each), len(each)
    low, high = wilson(right, of)
    return {"right": right, "of": of, "rate": right / of if of else None, "low": round(low, 6), "high": round(high, 6)}


def _time(values: list[float], q: float) -> dict[str, Any]:
    low, high = quantile_interval(values, q)
    return {
        key: None if math.isnan(ms) else ms for key, ms in (("ms", quantile(values, q)), ("low", low), ("high", high))
    }


def table(made: dict[str, Any]) -> str:
    """The report as lines of text."""
    told = [["", "cases", "right", "95 %", "strict", "tools", "median", "p95"]]
    told += [[name, *cells(group)] for name, group in rows(made)]
    lines = [columns(told), "", *(f"{name}: {said}" for name, said in summary(made["all"]))]
    return "\n".join([remark(made), "", *lines] if remark(made) else lines)


def cells(group: dict[str, Any]) -> list[str]:
    """The figures of a row, as a person reads them."""
    right, latency = group["right"], group["latency_ms"]
    return [
        str(group["cases"]),
        percent(right["rate"]),
        f"{percent(right['low'])} to {percent(right['high'])}",
        percent(group["strict"]["rate"]),
        percent(group["selection"]["rate"]),
        milliseconds(latency["median"]["ms"]),
        milliseconds(latency["p95"]["ms"]),
    ]


def remark(made: dict[str, Any]) -> str:
    """What is to be known first of the report of a run that ended early; "" of a whole one."""
    # Reports that were made before it was told have none.
    ended = made.get("ended")
    return f"only the first {made['all']['cases']} of {ended['of']} cases: {ended['why']}" if ended else ""


def summary(every: dict[str, Any]) -> list[tuple[str, str]]:
    """What stands below the table, of all cases: a name and what there is to say."""
    named = {
        "valid calls": "valid",
        "the right tools where calls are due, whatever the arguments (selection)": "selection",
        "some call where one is due (relevance)": "relevance",
        "no call where no tool fits (irrelevance)": "irrelevance",
    }
    lines = [(name, of(every[key])) for name, key in named.items() if every[key]["of"]]
    times = every["latency_ms"]["median"]
    if times["ms"] is not None:
        interval = f"95 %: {milliseconds(times['low'])} to {milliseconds(times['high'])}"
        lines.append(("median latency", f"{milliseconds(times['ms'])} ({interval})"))
    return [*lines, ("cases without an answer", str(every["errors"]))] if every["errors"] else lines


def of(one: dict[str, Any]) -> str:
    """A rate as a person reads it."""
    interval = f"95 %: {percent(one['low'])} to {percent(one['high'])}"
    return f"{one['right']} of {one['of']}, {percent(one['rate'])} ({interval})"


def percent(share: float | None) -> str:
    """A rate in percent, with more digits where fewer would make none or all of what is neither."""
    if share is None:
        return "-"
    digits = 1
    while digits < 12 and 0 < share < 1 and float(f"{100 * share:.{digits}f}") in (0, 100):
        digits += 1
    return f"{100 * share:.{digits}f} %"


def milliseconds(ms: float | None) -> str:
    """A time."""
    return "-" if ms is None else f"{ms:.3g} ms" if ms < 1000 else f"{ms / 1000:.3g} s"


def columns(lines: list[list[str]]) -> str:
    """Lines of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def load(path: Path) -> dict[str, Any]:
    """A report.json that was written before."""
    cure = "name two files report.json that --out wrote"
    try:
        made = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Trouble(f"{path} cannot be read: {error}", cure) from None
    if not isinstance(made, dict) or made.get("callspan_evaluation") != FORM:
        raise Trouble(f"{path} is no report of this form ({FORM})", cure)
    return made
