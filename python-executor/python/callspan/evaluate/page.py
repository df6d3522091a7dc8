"""report.html: the report as one file without anything to load, with a drawing in SVG."""

import html
import json
from typing import Any

from callspan.evaluate.report import cells, percent, remark, rows, summary

_STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222}
body{background:#fff}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #ddd;vertical-align:top}
.n{text-align:right;white-space:nowrap}.bad td:first-child{color:#a00}code{font-size:90%;overflow-wrap:anywhere}
svg text{font:13px system-ui,sans-serif;fill:#222}"""


def page(made: dict[str, Any]) -> str:
    """The whole page."""
    groups = rows(made)
    wrong = [case for case in made["cases"] if not case["right"]]
    below = "".join(f"<li>{_text(name)}: {_text(said)}</li>" for name, said in summary(made["all"]))
    early = f"<p><strong>{_text(remark(made))}</strong></p>" if remark(made) else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Evaluation</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Evaluation</h1>"
        f"<p>{_text(made['server'])}<br>{_text(', '.join(made['sets']))}<br>{_text(made['made'])}</p>"
        f"{early}{drawing(groups)}{_figures(groups)}<ul>{below}</ul>"
        f"<h2>Not right: {len(wrong)} of {len(made['cases'])}</h2>{_cases(wrong)}"
        "</body></html>\n"
    )


def drawing(groups: list[tuple[str, dict[str, Any]]]) -> str:
    """A bar for each rate, with its interval; 100 % is 500 wide."""
    left, step, parts = 170, 26, []
    for row, (name, group) in enumerate(groups):
        right, y = group["right"], 6 + row * step
        share = right["rate"] or 0.0
        low, high = f"{left + 500 * right['low']:.1f}", f"{left + 500 * right['high']:.1f}"
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{_text(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{500 * share:.1f}" height="18" fill="#7aa6d8"/>'
            f'<path d="M{low} {y + 9}H{high}M{low} {y + 4}v10M{high} {y + 4}v10" stroke="#234" fill="none"/>'
            f'<text x="{left + 512}" y="{y + 14}">{percent(right["rate"])}</text>'
        )
    height = 12 + step * len(groups)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 750 {height}" width="750" height="{height}">'
        f"<title>Right answers with 95 % intervals</title>{''.join(parts)}</svg>"
    )


def _figures(groups: list[tuple[str, dict[str, Any]]]) -> str:
    head = "".join(f"<th{' class=n' * (at > 0)}>{name}</th>" for at, name in enumerate(_COLUMNS))
    lines = []
    for name, group in groups:
        *rates, median, p95 = cells(group)
        row = [*rates, percent(group["valid"]["rate"]), median, p95]
        lines.append(f"<tr><td>{_text(name)}</td>" + "".join(f"<td class=n>{cell}</td>" for cell in row) + "</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


_COLUMNS = ["", "cases", "right", "95 %", "strict", "tools", "valid calls", "median", "p95"]


def _cases(cases: list[dict[str, Any]]) -> str:
    lines = "".join(
        f"<tr class=bad><td>{_text(case['id'])}</td><td>{_text(case['asked'])}</td><td>{_text(case['why'])}</td>"
        f"<td><code>{_text(_came(case))}</code></td></tr>"
        for case in cases
    )
    return f"<table><tr><th>case</th><th>asked</th><th>what is wrong</th><th>what came</th></tr>{lines}</table>"


def _came(case: dict[str, Any]) -> str:
    calls = [f"{call['name']} {json.dumps(call['arguments'], ensure_ascii=False)}" for call in case["calls"]]
    return "; ".join(calls) or case["content"] or case["error"]


def _text(text: str) -> str:
    return html.escape(text)
