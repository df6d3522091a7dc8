"""Questions to a small table that comes as text: CSV with a header, or a JSON list of objects."""

import csv
import io
import json
import re
import statistics
from collections.abc import Callable
from typing import Any

from callspan import tool

Row = dict[str, Any]

_QUERY = re.compile(
    r"\s*(?:(?P<aggregate>count|sum|mean|min|max)\b)?\s*(?P<columns>.*?)\s*(?:\bwhere\b\s*(?P<where>.*?)\s*)?",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"\s*(?P<column>.+?)\s*(?P<operator><=|>=|!=|==|=|<|>|\bcontains\b)\s*(?P<value>.*?)\s*")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "contains": lambda a, b: str(b).lower() in str(a).lower(),
}
_SUMMARIES: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "mean": statistics.fmean,
    "min": min,
    "max": max,
}


@tool
def query_table(table: str, query: str) -> list[Any] | float:
    """Query a CSV or JSON table.

    The query reads `[count|sum|mean|min|max] [column, …|*] [where condition and …]`, for example `name, age`,
    `mean age where city = Oslo and age > 30` or `* where name contains ann`.

    Args:
        table: The table
        query: The query
    """
    parts = _QUERY.fullmatch(query)
    aggregate = (parts["aggregate"] or "").lower()
    columns = [name.strip() for name in parts["columns"].split(",") if name.strip() not in ("", "*")]
    rows = _read(table)
    for condition in re.split(r"\s+and\s+", parts["where"], flags=re.IGNORECASE) if parts["where"] else []:
        rows = _filter(rows, condition)
    if not aggregate:
        return [{name: _cell(row, name) for name in columns or row} for row in rows]
    if aggregate == "count":
        return len([row for row in rows if all(_cell(row, name) not in (None, "") for name in columns)])
    if len(columns) != 1:
        raise ValueError(f"`{aggregate}` needs one column, for example `{aggregate} price`; there are {_columns(rows)}")
    return _summary(aggregate, columns[0], [_cell(row, columns[0]) for row in rows])


def _read(table: str) -> list[Row]:
    text = table.strip()
    if text.startswith(("[", "{")):
        try:
            rows = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"the table is not JSON: {error}") from None
        rows = [rows] if isinstance(rows, dict) else rows
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a JSON table is a list of objects")
        return rows
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows = [{name: _number(cell) for name, cell in row.items()} for row in reader]
    if not reader.fieldnames:
        raise ValueError("the table is empty: give CSV with a header line, or a JSON list of objects")
    if wrong := next((line for line, row in enumerate(rows, 2) if None in row or None in row.values()), None):
        raise ValueError(f"line {wrong} of the table does not have {len(reader.fieldnames)} cells as the header does")
    return rows


def _number(cell: Any) -> Any:
    """A cell that reads as a plain number is one; `007` and `nan` stay text."""
    if isinstance(cell, str) and re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", cell.strip()):
        return float(cell) if "." in cell else int(cell)
    return cell


def _filter(rows: list[Row], condition: str) -> list[Row]:
    parts = _CONDITION.fullmatch(condition)
    if parts is None:
        raise ValueError(f"`{condition}` is not a condition such as `age > 30` or `name contains ann`")
    wanted = _number(parts["value"].strip("\"'"))
    compare = _COMPARE[parts["operator"]]
    try:
        return [row for row in rows if compare(_cell(row, parts["column"]), wanted)]
    except TypeError:
        raise ValueError(f"`{condition}` compares text with a number") from None


def _cell(row: Row, column: str) -> Any:
    if column not in row:
        raise ValueError(f"no column `{column}`; the table has {_columns([row])}")
    return row[column]


def _columns(rows: list[Row]) -> str:
    return ", ".join(rows[0]) if rows else "no rows"


def _summary(aggregate: str, column: str, cells: list[Any]) -> float:
    numbers = [cell for cell in cells if isinstance(cell, int | float) and not isinstance(cell, bool)]
    if len(numbers) < len(cells):
        raise ValueError(f"column `{column}` holds text, so it has no {aggregate}")
    if not numbers:
        raise ValueError(f"no rows are left to take the {aggregate} of")
    return _SUMMARIES[aggregate](numbers)
