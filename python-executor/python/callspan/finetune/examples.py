"""Training data as token ids: prompts that are read, completions that are learned, and what was left out and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callspan.finetune.data import formats
from callspan.finetune.errors import FinetuneError, say

IGNORED = -100
# Without these there are no turns; without the others calls are written as ordinary text.
TURNS = ("<bos>", "<start_of_turn>", "<end_of_turn>")
CALLS = (
    "<escape>",
    *(f"<{side}_function_{what}>" for what in ("declaration", "call", "response") for side in ("start", "end")),
)


@dataclass(slots=True)
class Tokens:
    """What of some files can be trained on."""

    rows: list[dict[str, list[int]]] = field(default_factory=list)
    # Lines that break the format, as `FILE:LINE: why`.
    wrong: list[str] = field(default_factory=list)
    # Examples that are too long, as `FILE: example N: so many tokens`.
    long: list[str] = field(default_factory=list)

    @property
    def learned(self) -> int:
        """Tokens that the loss is of."""
        return sum(label != IGNORED for row in self.rows for label in row["labels"])


def read(paths: Iterable[Path], tokenizer: Any, max_length: int, keep_going: bool) -> Tokens:
    """The examples of files; lines that break the format stop it, unless it is to keep going."""
    out = Tokens()
    for path in paths:
        wrong: list[str] = []
        try:
            found = formats.read(path, keep_going, wrong)
        except formats.FormatError as error:
            if not wrong:
                raise FinetuneError(str(error), "give a file of JSON lines, each a conversation") from None
            if not keep_going:
                fix = "mend the lines, or leave them out with --keep-going"
                raise FinetuneError(f"lines that break the format:\n{error}", fix) from None
            found = []
        out.wrong += wrong
        for number, example in enumerate(found, 1):
            row = tokens(tokenizer, *formats.pair(example))
            if len(row["input_ids"]) > max_length:
                out.long.append(f"{path.name}: example {number}: {len(row['input_ids'])} tokens")
            else:
                out.rows.append(row)
    report(out, max_length)
    if not out.rows:
        fix = f"--max-length is {max_length}: give more" if out.long else "see above what is wrong with each line"
        raise FinetuneError("no example is left to train on", fix)
    return out


def tokens(tokenizer: Any, prompt: str, completion: str) -> dict[str, list[int]]:
    """An example's ids, cut where the model begins to write: so are they cut when it answers."""
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    behind = tokenizer(completion, add_special_tokens=False).input_ids
    return {"input_ids": before + behind, "labels": [IGNORED] * len(before) + behind}


def report(found: Tokens, max_length: int) -> None:
    """Says what was left out: every line, none in silence."""
    for line in found.wrong:
        say(f"left out: {line}")
    for line in found.long:
        say(f"left out: {line}, more than {max_length}")
    if found.wrong or found.long:
        say(f"left out {len(found.wrong)} lines that break the format and {len(found.long)} examples that are too long")


def check_tokens(tokenizer: Any, vocabulary: int) -> list[str]:
    """The control tokens that a tokenizer has not; the model never gets new ones."""

    def known(text: str) -> bool:
        number = tokenizer.convert_tokens_to_ids(text)
        return number is not None and number != tokenizer.unk_token_id and 0 <= number < vocabulary

    missing = [text for text in TURNS if not known(text)]
    if missing:
        raise FinetuneError(f"the tokenizer has no {', '.join(missing)}", "give a checkpoint of Gemma 3")
    missing = [text for text in CALLS if not known(text)]
    if missing:
        say(f"the tokenizer has no {', '.join(missing)}: written as ordinary text")
    return missing


def fingerprint(paths: Iterable[Path]) -> list[str]:
    """What tells files of data apart from others."""
    return [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths]
