"""A run: every case is asked and judged, and what came is written, of a run that ended early as well."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from callspan.evaluate import picture
from callspan.evaluate.cases import Case
from callspan.evaluate.errors import Trouble
from callspan.evaluate.judge import Reply, Verdict, judge
from callspan.evaluate.page import page
from callspan.evaluate.report import percent, report
from callspan.evaluate.servers import Late, Server

# After so many cases without an answer in time, one after the other, the server hangs.
_PATIENCE = 3
_REFUSED = "put that right first: what it refuses is sent with every case, as --model and --max-tokens are"


# Seconds from one line on how far the run is to the next.
_TELL_S = 15.0


def run(
    server: Server, read: list[Case], sets: list[str], options: dict[str, Any]
) -> tuple[dict[str, Any], BaseException | None]:
    """Ask a server all cases and hang up; gives the report, and what ended the run early, for who has kept the one."""
    verdicts: list[Verdict] = []
    early: BaseException | None = None
    try:
        _ask(server, read, verdicts)
    except BaseException as error:  # noqa: BLE001  (whatever it is, hours of answers are kept first)
        early = error
    finally:
        server.close()
    # Rates of nothing but refusals would be told as the model's.
    if all(one.error for one in verdicts):
        raise early or Trouble(
            f"{server.what} answered no case; of {verdicts[0].id} it said: {verdicts[0].error}", _REFUSED
        )
    ended = {"of": len(read), "why": _why(early)} if early else None
    return report(verdicts, server.what, sets, options, ended), early


def _why(early: BaseException) -> str:
    if isinstance(early, KeyboardInterrupt):
        return "interrupted"
    if isinstance(early, SystemExit):
        return "it was told to end"
    return early.what if isinstance(early, Trouble) else repr(early)


def _ask(server: Server, read: list[Case], verdicts: list[Verdict]) -> None:
    late = 0
    started = told = time.monotonic()
    for number, case in enumerate(read, 1):
        where = f"at {case.id}, case {number} of {len(read)}"
        try:
            reply, late = server.ask(case), 0
        except Late as error:
            reply, late = Reply(error=str(error)), late + 1
        except Trouble as trouble:
            raise Trouble(f"{trouble.what} ({where})", trouble.cure) from None
        verdicts.append(judge(case, reply))
        if late == _PATIENCE and number < len(read):
            raise Trouble(f"{server.what}: {reply.error}, {late} times in a row ({where})", "--timeout S")
        now = time.monotonic()
        if now - told >= _TELL_S and number < len(read):
            told = now
            left = math.ceil((now - started) / number * (len(read) - number) / 60)
            right = percent(sum(one.right for one in verdicts) / number)
            sys.stderr.write(f"{number} of {len(read)} cases, {right} right so far, about {left} min left\n")


def writable(directory: Path) -> None:
    """Make the report's directory, before anybody waits for what could not be written."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, error) from None


def write(directory: Path, made: dict[str, Any], *, png: bool) -> None:
    """Write the report as JSON and as a page, perhaps as a picture too."""
    texts = {"report.json": json.dumps(made, ensure_ascii=False, indent=1) + "\n", "report.html": page(made)}
    try:
        for name, text in texts.items():
            # Half a pair of UTF-16, which JSON allows and UTF-8 does not, is written as JSON escapes it.
            (directory / name).write_text(text, "utf-8", "backslashreplace")
        if png:
            picture.save(made, directory / "report.png")
    except OSError as error:
        raise _unwritable(directory, error) from None


def _unwritable(directory: Path, error: OSError) -> Trouble:
    return Trouble(f"{directory} cannot be written: {error.strerror or error}", "--out DIR")
