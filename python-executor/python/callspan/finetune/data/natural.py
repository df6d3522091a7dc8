"""Turns public data sets of annotated utterances into sentences for families.

    python -m callspan.finetune.data.natural --data DIRECTORY --out natural.jsonl

The directory holds JSON lines, gzipped or not, of clinc150, nlu-home, snips and sgd-dialogues with sgd-services;
`families/README.md` says their shape. Each intent is a family of `families/natural/`, whose `slot:` lines say which
annotation fills which argument. Lines of the result:

- `{"family", "say"}`: a sentence in the family format,
- `{"family", "turns", "values", "seen"}`: a dialogue up to a call or a question, and whether its service is trained on,
- `{"foreign"}`: a request that is for no tool at all.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from callspan.evaluate.errors import Trouble
from callspan.finetune.data.annotations import SPECIAL, canonical, cut, sentence
from callspan.finetune.data.commands import run, writable
from callspan.finetune.data.families import HERE, Family, read_directory
from callspan.finetune.data.lines import MISSHAPEN, read_lines, why, write_lines

Row = dict[str, Any]
Families = dict[str, Family]
DATA_SETS = ("clinc150", "nlu-home", "snips", "sgd-dialogues")
# Of a dialogue of more characters, nothing is taken: prompts are short.
LONGEST = 700


def convert(directory: Path, families: Families) -> Iterator[Row]:
    """Everything that the data sets give for these families."""
    services = {row["service"] for row in _each(directory, "sgd-services", _service)}
    if not services and _file(directory, "sgd-dialogues"):
        raise ValueError(f"{directory} has sgd-dialogues and no sgd-services, which say what is trained on")
    for stem, reader in zip(DATA_SETS, (_clinc, _nlu, _snips, partial(_sgd, services)), strict=True):
        yield from _each(directory, stem, partial(reader, families))


def _file(directory: Path, stem: str) -> Path | None:
    found = (directory / f"{stem}.jsonl", directory / f"{stem}.jsonl.gz")
    return next((path for path in found if path.exists()), None)


def _each(directory: Path, stem: str, reader: Callable[[Row], Iterator[Row]]) -> Iterator[Row]:
    """What the reader makes of each line of a data set; nothing if it is not there."""
    path = _file(directory, stem)
    for place, row in read_lines(path) if path else ():
        try:
            yield from reader(row)
        except MISSHAPEN as error:
            raise ValueError(f"{place}: {why(error)}") from None


def _service(row: Row) -> Iterator[Row]:
    if "train" in row["splits"]:
        yield {"service": f"sgd_{row['service_name']}"}


def _clinc(families: Families, row: Row) -> Iterator[Row]:
    text, family = row["text"], families.get(f"clinc_{row['intent']}")
    if row["intent"] == "oos":
        if not SPECIAL.search(text):
            yield {"foreign": text}
    elif family and (say := sentence(family, [(text, "")])):
        yield {"family": family.key, "say": say}


def _nlu(families: Families, row: Row) -> Iterator[Row]:
    family = families.get(f"nlu_{row['intent']}")
    if family and (say := sentence(family, cut(row["text"], row["entities"]))):
        yield {"family": family.key, "say": say}


def _snips(families: Families, row: Row) -> Iterator[Row]:
    family = families.get(f"snips_{row['intent']}")
    runs = [(text, slot[0] if slot else "") for text, *slot in row["parts"]]
    if family and (say := sentence(family, runs)):
        yield {"family": family.key, "say": say}


def _sgd(services: set[str], families: Families, row: Row) -> Iterator[Row]:
    """Each point of a dialogue at which the model has to call, or to ask for what is missing."""
    history: list[tuple[str, str]] = []
    intent = ""
    turns = row["turns"]
    for i, turn in enumerate(turns):
        frames = turn.get("frames") or []
        if len(frames) != 1 or SPECIAL.search(turn["text"]):
            return
        if turn["who"] == "u":
            now = f"sgd_{frames[0]['service']}_{frames[0].get('intent', 'NONE')}"
            if now != intent:
                intent, history = now, []
        history.append((turn["who"], turn["text"]))
        family = families.get(intent)
        if turn["who"] != "u" or family is None or sum(len(text) for _, text in history) > LONGEST:
            continue
        if not _asked_or_called(turns[i + 1 : i + 2], intent):
            continue
        values = _state(family, frames[0].get("state") or {}, " ".join(text for _, text in history).lower())
        if values is not None:
            seen = intent.rpartition("_")[0] in services
            yield {"family": family.key, "turns": list(history), "values": values, "seen": seen}


def _asked_or_called(following: list[Row], intent: str) -> bool:
    """Whether the next turn asks for something, or calls what the intent is."""
    frame = ((following[0].get("frames") or [{}]) if following else [{}])[0]
    if any(act.startswith("REQUEST") for act in frame.get("acts", ())):
        return True
    return (frame.get("call") or {}).get("method") == intent.rpartition("_")[2]


def _state(family: Family, state: Row, said: str) -> dict[str, str | None] | None:
    """The values by argument's path, the first of several accepted ones; nothing if one cannot be had from the text.

    A value is null where the person said that any will do.
    """
    values: dict[str, str | None] = {}
    for arg in family.args.values():
        given = next((state[slot] for slot in arg.slots if slot in state), None)
        if isinstance(given, list):
            given = given[0] if given else None
        if given is None:
            continue
        if given == "dontcare":
            values[arg.path] = None
            continue
        value = canonical(arg, given)
        if value is None or (arg.kind.kind == "string" and given.lower() not in said):
            return None
        values[arg.path] = value
    return values


def _convert(options: argparse.Namespace) -> str:
    if not options.data.is_dir():
        raise Trouble(f"{options.data} is no directory", f"name the directory of the data sets: {', '.join(DATA_SETS)}")
    families = {family.key: family for family in read_directory(HERE / "natural")}
    counts: Counter[str] = Counter()

    def counted() -> Iterator[Row]:
        for row in convert(options.data, families):
            counts["foreign" if "foreign" in row else "dialogues" if "turns" in row else "sentences"] += 1
            yield row

    if not write_lines(writable(options.out), counted()):
        raise ValueError(f"{options.data} holds none of the data sets ({', '.join(DATA_SETS)})")
    return f"{options.out}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))


def main(arguments: list[str] | None = None) -> int:
    """Converts a directory of data sets."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune.data.natural", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIRECTORY", help="where the data sets lie")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON lines to write")
    options = parser.parse_args(arguments)
    return run(lambda: _convert(options))


if __name__ == "__main__":
    sys.exit(main())
