"""A tokenizer.json as GGUF's vocabulary, in the form that llama.cpp gives to Gemma's: pieces, scores and kinds.

Of two neighbouring pieces those are joined first whose union has the best score. A tokenizer.json lists the pairs
instead, the best first; the place where a piece is first made is its score. One that cuts text otherwise is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callspan.finetune import bases
from callspan.finetune.errors import FinetuneError

SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
# As the converter has them: of tokens that are looked for as they are, and of rows without a token.
ADDED_SCORE, UNUSED_SCORE = -1000.0, -10000.0
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
SPLIT_AT_SPACES = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


@dataclass(slots=True)
class Pieces:
    """A vocabulary, by id."""

    texts: list[str]
    scores: list[float]
    kinds: list[int]

    def special(self) -> dict[str, int]:
        """The ids that llama.cpp asks for by what they do; after a call the model waits for the response."""
        names = {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>", "eot": "<end_of_turn>"}
        names["eom"] = "<start_function_response>"
        ids = {text: place for place, text in enumerate(self.texts)}
        return {what: ids[text] for what, text in names.items() if text in ids}


def read(folder: Path, rows: int) -> Pieces:
    """The vocabulary of a checkpoint whose embeddings have so many rows."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FinetuneError(f"{folder} has no tokenizer.json", "save its tokenizer with a recent transformers")
    found = bases.read_json(path)
    refuse_others(folder, found)
    model = found["model"]
    pieces = Pieces(
        [f"[PAD{place}]" for place in range(rows)],
        [UNUSED_SCORE] * rows,
        [UNUSED] * rows,
    )
    scores = first_made(model["merges"])
    for text, place in model["vocab"].items():
        if place < rows:
            pieces.texts[place] = text
            pieces.scores[place] = scores.get(text, -float(len(model["merges"]) + 1))
            pieces.kinds[place] = BYTE if BYTE_PIECE.fullmatch(text) else NORMAL
    for token in found["added_tokens"]:
        place, text = token["id"], token["content"]
        if place >= rows:
            continue
        unknown = text == model.get("unk_token")
        pieces.kinds[place] = UNKNOWN if unknown else CONTROL if token["special"] else USER_DEFINED
        pieces.texts[place] = text if token["special"] else text.replace(SPACE, " ")
        pieces.scores[place] = ADDED_SCORE
    return pieces


def first_made(merges: list[Any]) -> dict[str, float]:
    """The score of every piece that a pair makes."""
    scores: dict[str, float] = {}
    for rank, pair in enumerate(merges):
        left, right = pair.split(" ", 1) if isinstance(pair, str) else pair
        scores.setdefault(left + right, -float(rank))
    return scores


def refuse_others(folder: Path, found: dict[str, Any]) -> None:
    """Only Gemma's kind of tokenizer can be told in this form."""
    model, cut, normal = found["model"], found.get("pre_tokenizer"), found.get("normalizer") or {}
    spaces = normal.get("type") == "Replace" and normal.get("pattern") == {"String": " "}
    if model.get("type") != "BPE" or not model.get("byte_fallback"):
        what = f"is {model.get('type')} without bytes to fall back to"
    elif cut is not None and cut != SPLIT_AT_SPACES:
        what = f"cuts text by a rule of its own ({cut.get('type')}) before it looks for pieces"
    elif not spaces or normal.get("content") != SPACE:
        what = f"does not write spaces as {SPACE}"
    else:
        return
    raise FinetuneError(
        f"the tokenizer of {folder} {what}, which a GGUF of Gemma's cannot tell",
        "serve the checkpoint or the adapter: --to safetensors, --to adapter",
        status=1,
    )
