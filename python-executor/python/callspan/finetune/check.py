"""`python -m callspan.finetune.check`: what of some files would be trained on, before anything is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from callspan.finetune import bases, examples, models
from callspan.finetune.errors import PACKAGES, guarded, need
from callspan.finetune.settings import positive


def main(arguments: list[str] | None = None) -> int:
    """Prints what is there, and tells what would be left out; the exit status is 1 if anything would."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune.check", description="Reads training data as a run of fine-tuning would."
    )
    add = parser.add_argument
    add("--base", type=Path, required=True, metavar="DIR", help="the checkpoint that is to be trained")
    add("--data", type=Path, required=True, nargs="+", metavar="FILE", help="TRL's, mobile-actions, recordings")
    add("--max-length", type=positive, default=1024, metavar="N", help="longer examples are left out [%(default)s]")
    return guarded(lambda: check(parser.parse_args(arguments)))


def check(asked: argparse.Namespace) -> int:
    """Reads what was asked for."""
    need(*PACKAGES)
    config = bases.config(asked.base)
    models.quiet()
    tokenizer = models.tokenizer(asked.base)
    missing = examples.check_tokens(tokenizer, config["vocab_size"])
    found = examples.read(asked.data, tokenizer, asked.max_length, keep_going=True)
    lengths = sorted(len(row["input_ids"]) for row in found.rows)
    told = {
        "examples": len(lengths),
        "tokens": sum(lengths),
        "learned": found.learned,
        "longest": lengths[-1],
        "median": lengths[len(lengths) // 2],
        "wrong_lines": len(found.wrong),
        "too_long": len(found.long),
        "tokens_without": missing,
    }
    print(json.dumps(told))  # noqa: T201 - what was found is data
    return 1 if found.wrong or found.long else 0


if __name__ == "__main__":
    sys.exit(main())
