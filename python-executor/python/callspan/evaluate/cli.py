"""The command line: reads cases, asks a server, shows and writes the report.

Exit status: 0 if all was asked and every --min holds, 1 if one does not, 2 where the run could not be made or ended
early, 130 where Ctrl-C ended it and 143 where SIGTERM did.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from callspan.evaluate import bfcl, cases, picture
from callspan.evaluate.cases import Case
from callspan.evaluate.chat import Chat
from callspan.evaluate.compare import compare, side_by_side
from callspan.evaluate.errors import Trouble
from callspan.evaluate.format import Format
from callspan.evaluate.report import percent, table
from callspan.evaluate.run import run, writable, write
from callspan.evaluate.servers import Server
from callspan.evaluate.wire import Socket


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments, or the command line's; gives the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.compare:
            return _compare(asked)
        return _evaluate(asked)
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m callspan.evaluate",
        description="How well a model turns sentences into tool calls.",
        epilog="Exit status: 0; 1 where a --min is missed; 2 where the run could not be made, or ended early: then "
        "what came is told and written.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="cases, a line of JSON each")
    parser.add_argument("--bfcl", type=Path, metavar="DIR", help="BFCL's own files: BFCL_v3_*.json, possible_answer/")
    server = parser.add_mutually_exclusive_group()
    server.add_argument("--socket", type=Path, metavar="PATH", help="a socket of rust-inference")
    server.add_argument("--openai", metavar="URL", help="a server of chat completions: http://…/v1, or unix:PATH")
    server.add_argument("--compare", nargs=2, type=Path, metavar="REPORT", help="two report.json side by side")
    parser.add_argument("--model", default="", metavar="NAME", help="which of the server's models")
    free = parser.add_mutually_exclusive_group()
    free.add_argument("--unconstrained", action="store_true", help="with --socket: let the model write what it likes")
    free.add_argument("--beside", action="store_true", help="constrained and then unconstrained, with --socket")
    parser.add_argument("--program", type=Path, metavar="PATH", help="rust-inference, for --unconstrained and --beside")
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="S", help="for each answer [60]")
    parser.add_argument("--max-tokens", type=_count, default=512, metavar="N", help="of each answer [512]")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write report.json and report.html there")
    parser.add_argument("--png", action="store_true", help="report.png as well (needs matplotlib)")
    least = "fail below this rate of right answers, as one=0.8 or all=80%%; may be repeated"
    parser.add_argument("--min", action="append", default=[], type=_least, metavar="KIND=RATE", help=least)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return seconds


def _count(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 1 << 31):
        raise argparse.ArgumentTypeError(f"{text} is no number of tokens")
    return int(text)


def _least(text: str) -> tuple[str, float]:
    kind, _, share = text.rpartition("=")
    try:
        rate = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
    except ValueError:
        rate = -1.0
    if not kind or not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not KIND=RATE, with a rate from 0 to 1 or in %")
    return kind, rate


def _compare(asked: argparse.Namespace) -> int:
    if asked.files or asked.bfcl or asked.out or asked.min:
        raise Trouble("--compare reads two reports and asks nobody", "leave out cases, --bfcl, --out and --min")
    sys.stdout.write(compare(*asked.compare) + "\n")
    return 0


def _evaluate(asked: argparse.Namespace) -> int:
    read = _cases(asked)
    kinds = {"all", *(case.kind for case in read)}
    for kind, _ in asked.min:
        if kind not in kinds:
            raise Trouble(f"--min {kind}: no case is of this kind", f"the kinds are {', '.join(sorted(kinds))}")
    if asked.png:
        if not asked.out:
            raise Trouble("--png is written with the report", "--out DIR")
        picture.check()
    form = _format(asked)
    server = _server(asked, form if asked.unconstrained else None)
    if asked.out:
        writable(asked.out)
    sets = [str(one) for one in [*asked.files, *([asked.bfcl] if asked.bfcl else [])]]
    made, early = run(server, read, sets, _options(asked))
    _tell(made, asked, asked.out)
    if asked.beside and not early:
        sys.stdout.write("\nunconstrained:\n")
        free, early = run(_server(asked, form), read, sets, _options(asked))
        _tell(free, asked, asked.out / "unconstrained" if asked.out else None)
        sys.stdout.write(f"\n{side_by_side(made, free, ('constrained', 'unconstrained'))}\n")
    if early:
        raise early
    return _missed(made, asked.min)


def _tell(made: dict[str, Any], asked: argparse.Namespace, out: Path | None) -> None:
    # What is there may be of all cases.
    if out and made["ended"] and (out / "report.json").exists():
        out = out / "part"
        sys.stderr.write(f"{out.parent} has a report already: this one is in {out}\n")
    try:
        if out:
            writable(out)
            write(out, made, png=asked.png)
    finally:
        # Also where a disk was full.
        sys.stdout.write(table(made) + "\n")


def _cases(asked: argparse.Namespace) -> list[Case]:
    # Of several files each is a split of its own, unless its cases say another.
    several = len(asked.files) + bool(asked.bfcl) > 1
    read = [
        replace(case, split=case.split or (file.stem if several else ""))
        for file in asked.files
        for case in cases.read(file)
    ]
    if asked.bfcl:
        more, unread = bfcl.read(asked.bfcl)
        read += more
        if unread:
            sys.stderr.write(f"not read: {', '.join(unread)}\n")
    if not read:
        raise Trouble("there are no cases", "name files of cases, or --bfcl DIR")
    seen: set[str] = set()
    for case in read:
        if case.id in seen:
            raise Trouble(f"the id {case.id} stands in two files", "give cases ids of their own")
        seen.add(case.id)
    return read


def _format(asked: argparse.Namespace) -> Format | None:
    free = "--unconstrained" if asked.unconstrained else "--beside" if asked.beside else ""
    if not free:
        if asked.program:
            raise Trouble("--program is only for --unconstrained and --beside", "leave it out")
        return None
    if not asked.socket:
        raise Trouble(f"{free} is only for --socket", "leave it out: another server constrains as it likes")
    return Format(asked.program)


def _options(asked: argparse.Namespace) -> dict[str, Any]:
    return {"model": asked.model, "max_tokens": asked.max_tokens, "timeout_s": asked.timeout}


def _server(asked: argparse.Namespace, form: Format | None) -> Server:
    if asked.openai:
        return Chat(asked.openai, **_options(asked))
    if not asked.socket:
        raise Trouble("there is no server to ask", "--socket PATH, or --openai URL")
    return Socket(asked.socket, form=form, **_options(asked))


def _missed(made: dict[str, Any], least: list[tuple[str, float]]) -> int:
    status = 0
    for kind, rate in least:
        got = (made["all"] if kind == "all" else made["kinds"][kind])["right"]["rate"]
        if got < rate:
            sys.stderr.write(f"{kind}: {percent(got)} is less than {percent(rate)}\n")
            status = 1
    return status
