"""Turns public data sets of annotated utterances into sentences for families.

    python -m callspan.finetune.natural --data DIRECTORY --out natural.jsonl

The directory holds JSON lines, gzipped or not, of four data sets in the shape that `finetune/README.md` tells of: clinc150, nlu-home, snips and
sgd-dialogues. Each intent is a family of `families/natural/`, whose `slot:` lines say which annotation fills which argument. Lines of the
result: `{"family", "say"}` (a sentence in the family format), `{"family", "turns", "values"}` (a dialogue up to a call or a question), or
`{"foreign"}` (a request that is for no tool at all).
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callspan.finetune.families import HERE, Arg, Family, read_directory
from callspan.finetune.numbers import SMALL, TENS
from callspan.finetune.phrases import parse_phrase
from callspan.finetune.sides import held_out_family, held_out_sentence

# Characters that mean something in the family format: a text that holds one is left out.
SPECIAL = re.compile(r"[\[\]{}|<>]")
# Of a dialogue that is longer, nothing is taken: prompts are short.
LONGEST = 700


@dataclass(slots=True)
class Dialogue:
    """User's and model's turns, up to the user's last one; and what the state is then, by slot."""

    turns: list[tuple[str, str]]
    values: dict[str, str]


@dataclass(slots=True)
class Natural:
    """What was read of a converted file, for one side of the split."""

    families: list[Family] = field(default_factory=list)
    dialogues: dict[str, list[Dialogue]] = field(default_factory=dict)
    chat: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def rows(directory: Path, stem: str) -> Iterator[dict[str, Any]]:
    """The objects of `stem.jsonl` or `stem.jsonl.gz`; nothing if neither is there."""
    for path in (directory / f"{stem}.jsonl", directory / f"{stem}.jsonl.gz"):
        if path.exists():
            opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
            with opened as file:
                for number, line in enumerate(file, 1):
                    try:
                        yield json.loads(line)
                    except ValueError as error:
                        raise ValueError(f"{path.name}:{number}: {error}") from None
            return


def number_of(text: str) -> int | None:
    """The whole number that a text spells, in digits or words up to a hundred."""
    text = text.strip().lower().replace(",", "")
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    total = 0
    for word in re.split(r"[\s-]+", text):
        if word in SMALL:
            total += SMALL.index(word)
        elif word in TENS:
            total += 20 + 10 * TENS.index(word)
        elif word in ("a", "an"):
            total += 1
        else:
            return None
    return total if text else None


def canonical(arg: Arg, text: str) -> str | None:
    """An annotated value as the argument has it; nothing if the argument cannot."""
    text = text.strip()
    if arg.kind.kind == "string":
        return text or None
    if arg.kind.kind in ("int", "num"):
        number = number_of(text)
        return None if number is None else str(number)
    if arg.kind.kind == "bool":
        return text.lower() if text.lower() in ("true", "false") else None
    lower = text.lower()
    for value, said in arg.kind.words.items():
        if lower == value.lower() or lower in (w.lower() for w in said):
            return value
    return None


def sentence(family: Family, parts: list[tuple[str, str]]) -> str | None:
    """A sentence in the family format, of texts and slots (`("San Jose", "city")`; an empty slot is plain text)."""
    by_slot = {arg.slot: arg for arg in family.args.values() if arg.slot}
    out = []
    for text, slot in parts:
        if SPECIAL.search(text):
            return None
        arg = by_slot.get(slot)
        if arg is None:
            out.append(text)
            continue
        value = canonical(arg, text)
        if value is None or any(f"{{{arg.path}=" in piece for piece in out):
            return None
        words = text.strip()
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        out.append(f"{before}{{{arg.path}={value}|{words}}}{after}")
    joined = re.sub(r"\s+", " ", "".join(out)).strip()
    return joined if 3 <= len(joined) <= 220 else None


def convert(directory: Path, families: dict[str, Family]) -> Iterator[dict[str, Any]]:
    """Everything that the data sets give for these families."""
    for row in rows(directory, "clinc150"):
        if row["intent"] == "oos":
            if not SPECIAL.search(row["text"]):
                yield {"foreign": row["text"]}
        elif family := families.get(f"clinc_{row['intent']}"):
            if say := sentence(family, [(row["text"], "")]):
                yield {"family": family.key, "say": say}
    for row in rows(directory, "nlu-home"):
        family = families.get(f"nlu_{row['intent']}")
        if family and (say := sentence(family, _cut(row["text"], row["entities"]))):
            yield {"family": family.key, "say": say}
    for row in rows(directory, "snips"):
        family = families.get(f"snips_{row['intent']}")
        if family and (say := sentence(family, [(p[0], p[1] if len(p) > 1 else "") for p in row["parts"]])):
            yield {"family": family.key, "say": say}
    seen = {f"sgd_{row['service_name']}" for row in rows(directory, "sgd-services") if "train" in row.get("splits", ())}
    for row in rows(directory, "sgd-dialogues"):
        yield from _dialogues(row, families, seen)


def _cut(text: str, entities: list[list[Any]]) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    end = 0
    for name, start, stop, *_ in sorted(entities, key=lambda e: e[1]):
        if start >= end:
            parts += [(text[end:start], ""), (text[start:stop], name)]
            end = stop
    return [*parts, (text[end:], "")]


def _dialogues(row: dict[str, Any], families: dict[str, Family], seen: set[str]) -> Iterator[dict[str, Any]]:
    """Each point of a dialogue at which the model has to call, or to ask for what is missing."""
    history: list[tuple[str, str]] = []
    intent = ""
    turns = row["turns"]
    for i, turn in enumerate(turns):
        frame = (turn.get("frames") or [{}])[0]
        if len(turn.get("frames") or []) != 1 or SPECIAL.search(turn["text"]):
            return
        if turn["who"] == "u":
            now = f"sgd_{frame['service']}_{frame.get('intent', 'NONE')}"
            if now != intent:
                intent, history = now, []
        history.append((turn["who"], turn["text"]))
        family = families.get(intent)
        after = (turns[i + 1].get("frames") or [{}])[0] if i + 1 < len(turns) else {}
        if turn["who"] != "u" or family is None or sum(len(text) for _, text in history) > LONGEST:
            continue
        asks = any(act.startswith("REQUEST") for act in after.get("acts", ()))
        if not asks and (after.get("call") or {}).get("method") != intent.rsplit("_", 1)[-1]:
            continue
        said = " ".join(text for _, text in history).lower()
        values = {}
        for arg in family.args.values():
            given = (frame.get("state") or {}).get(arg.slot)
            if isinstance(given, list):
                given = given[0] if given else None
            if given is None or given == "dontcare":
                continue
            value = canonical(arg, given)
            if value is None or arg.kind.kind == "string" and given.lower() not in said:
                break
            values[arg.path] = value
        else:
            trained = any(family.key.startswith(service + "_") for service in seen)
            yield {"family": family.key, "turns": list(history), "values": values, "seen": trained}


def read_natural(path: Path, families: list[Family], training: bool) -> Natural:
    """A converted file, for one side of the split: of families, of sentences, and of services that training never saw."""
    by_key = {family.key: family for family in families}
    found = Natural()
    dialogues: dict[str, list[Dialogue]] = defaultdict(list)
    own: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if "foreign" in row:
                if held_out_sentence(row["foreign"]) != training:
                    found.foreign.append(row["foreign"])
                continue
            family = by_key.get(row["family"])
            if family is None:
                continue
            if family.chat:
                if held_out_sentence(row["say"]) != training:
                    found.chat.append((row["say"], family.chat))
            elif "say" in row:
                phrase = parse_phrase(row["say"])
                family.says.append(phrase)
                for slot in phrase.slots():
                    if family.args[slot.arg].kind.kind == "string" and slot.value == slot.words:
                        own[family.key, slot.arg][slot.words] += 1
            elif row["seen"] == training:
                dialogues[family.key].append(Dialogue([tuple(t) for t in row["turns"]], row["values"]))
                for path, value in row["values"].items():
                    if family.args[path].kind.kind == "string":
                        own[family.key, path][value] += 1
    for (key, arg), counted in own.items():
        by_key[key].args[arg].kind.values = tuple(counted)
    for family in families:
        family.domain = "_".join(family.key.split("_")[:-1]) if family.key.startswith("sgd_") else family.key.split("_")[0]
        if family.chat or family.skipped:
            continue
        if family.key in dialogues or family.says and held_out_family(family.key) != training:
            found.families.append(family)
    found.dialogues = dict(dialogues)
    return found


def main() -> int:
    """Converts a directory of data sets."""
    parser = argparse.ArgumentParser(prog="python -m callspan.finetune.natural", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIRECTORY", help="where the data sets lie")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON lines to write")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"{options.data} is no directory")

    try:
        families = read_directory(HERE / "natural")
        counts: Counter[str] = Counter()
        with options.out.open("w", encoding="utf-8") as file:
            for row in convert(options.data, {f.key: f for f in families}):
                counts["foreign" if "foreign" in row else "dialogues" if "turns" in row else "sentences"] += 1
                file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    if not counts:
        print(f"error: {options.data} holds none of the data sets (clinc150, nlu-home, snips, sgd-dialogues)", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{options.out}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
