"""The table of bench/engine.py: each figure beside llama.cpp's, their ratio, and what was aimed at; and its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from served import BENCH
from workloads import BATCHES, CROWDS, DEPTHS, PREFILLS


class Figures(Protocol):
    def of(self, row: str, column: str) -> float | None: ...


@dataclass(frozen=True)
class Row:
    key: str
    label: str
    unit: str
    # Whether more is better; the ratio is turned so that more than 1 is always for ours.
    more: bool = True
    aim: float | None = None
    against: str = "Q8_0"


def rows() -> Iterator[Row]:
    for tokens in PREFILLS:
        yield Row(f"prefill {tokens}", f"prefill of {tokens} tokens", "tok/s", aim=4)
    for depth in DEPTHS:
        yield Row(f"decode {depth}", f"decode behind {depth} tokens", "tok/s", aim=1.8 if depth == 0 else None)
    for batch in BATCHES:
        label = f"{batch} given token{'s' * (batch > 1)} behind 400"
        yield Row(f"batch {batch}", label, "ms", more=False)
    yield Row("400+40 cold", "400 + 40 tokens, cold", "ms", more=False)
    yield Row("400+40 warm", "the same once more", "ms", more=False)
    for clients in CROWDS:
        name = f"{clients} client{'s' * (clients > 1)}"
        yield Row(f"{clients} clients", f"{name}, all together", "tok/s", aim=3 if clients == 16 else None)
        yield Row(f"{clients} clients, p50", f"{name}: first token, p50", "ms", more=False)
        yield Row(f"{clients} clients, p99", f"{name}: first token, p99", "ms", more=False)
    yield Row("first start", "first start, to the first token", "ms", more=False)
    yield Row("second start", "second start", "ms", more=False)
    yield Row("resident", "memory after 400 + 40 tokens", "MB", more=False, aim=1 / 0.75)
    for warmth in ("cold", "warm"):
        aims = (3, 5) if warmth == "warm" else (None, None)
        yield Row(f"call {warmth}", f"function call, {warmth}; theirs free", "ms", more=False, aim=aims[0])
        yield Row(
            f"call {warmth}", f"function call, {warmth}; theirs by grammar", "ms", more=False, aim=aims[1],
            against="Q8_0, grammar",
        )  # fmt: skip


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_table(table: Figures, head: str, read_a_token: float) -> Iterator[str]:
    bandwidth = table.of("bandwidth", "limit") or 0
    yield head
    yield ""
    limit = bandwidth / read_a_token
    yield (
        f"These cores read {bandwidth / 1e9:.1f} GB/s of as much memory as the int8 weights take "
        f"({read_a_token / 1e6:.0f} MB), which allows {limit:.0f} tok/s of decoding."
    )
    yield ""
    yield "| | ours | llama.cpp Q8_0 | llama.cpp bf16 | ours is better by | aim |"
    yield "|---|---|---|---|---|---|"
    for row in rows():
        ours, theirs = table.of(row.key, "ours"), table.of(row.key, row.against)
        if ours is None:
            continue
        bf16 = table.of(row.key, "bf16") if row.against == "Q8_0" else None
        cells = [f"{number(value)} {row.unit}" if value is not None else "-" for value in (ours, theirs, bf16)]
        yield f"| {row.label} | {' | '.join(cells)} | {verdict(row, ours, theirs)} |"
    decode = table.of("decode 0", "ours")
    if decode and limit:
        share, reached = 100 * decode / limit, "" if decode >= 0.85 * limit else ", missed"
        yield f"| decode of what the memory allows | {share:.0f} % | | | | 85 %{reached} |"


def verdict(row: Row, ours: float, theirs: float | None) -> str:
    if not theirs:
        return "- | "
    ratio = ours / theirs if row.more else theirs / ours
    if row.aim is None:
        return f"{ratio:.2g} x | "
    return f"{ratio:.2g} x | {row.aim:.2g} x{'' if ratio >= row.aim else ', missed'}"


def into_readme(name: str, text: str) -> None:
    """Puts the text between the markers of this name in bench/README.md."""
    readme = BENCH / "README.md"
    before, begin, rest = readme.read_text("utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    if not (begin and end):
        raise SystemExit(f"{readme} has no place for the table: <!-- {name} --> and <!-- end of {name} -->")
    readme.write_text(f"{before}{begin}{text}\n{end}{after}", "utf-8")
