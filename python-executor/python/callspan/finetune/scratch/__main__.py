"""Train the default model from nothing: `python -m callspan.finetune.scratch --minutes 90 --out DIR`.

The same command again goes on from the last checkpoint. With --tokens and as many processes, a seed gives the same
weights on the same machine; with --minutes it does not, as the clock decides the learning rate and the last step. A
run that was interrupted differs, too: samples that waited for a row are not drawn again.
"""

import argparse
import math
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from callspan.evaluate.errors import Trouble
from callspan.finetune.data.commands import WRITE_IT, at_least_one, readable, told
from callspan.finetune.errors import say
from callspan.finetune.scratch import launch
from callspan.finetune.scratch.model import SIZES
from callspan.finetune.scratch.optimizer import Rates
from callspan.finetune.scratch.plan import Plan


def _above_zero(text: str, zero: bool = False) -> float:
    """The type of an argument that measures something; a few may be zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 < number < math.inf or (zero and number == 0)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number {'from zero up' if zero else 'above zero'}")
    return number


def _cores() -> int:
    """Those that this process may use; macOS does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m callspan.finetune.scratch", description=__doc__)
    add = parser.add_argument
    add(
        "--source",
        default="callspan.finetune.scratch.course:samples",
        help="MODULE:FUNCTION(seed, worker), or a .jsonl file",
    )
    add("--natural", type=Path, metavar="FILE", help="what callspan.finetune.data.natural wrote, for the usual source")
    add(
        "--held",
        default="callspan.finetune.scratch.course:held",
        help="the same for held-out samples; else the source under another seed",
    )
    add("--out", type=Path, required=True)
    until = parser.add_mutually_exclusive_group(required=True)
    until.add_argument("--minutes", type=_above_zero, help="of wall-clock time, over all resumptions")
    until.add_argument("--tokens", type=at_least_one, help="positions, padding included: the same result each time")
    add("--size", choices=sorted(SIZES), default="middle")
    add("--vocabulary", type=at_least_one, default=8192)
    add("--tokenizer-samples", type=at_least_one, default=20_000)
    add("--template", type=Path, default=Path("models/default/chat_template.jinja"), help="the chat template to copy")
    add("--seed", type=int, default=0)
    add("--processes", type=at_least_one, default=_cores())
    add("--rows", type=at_least_one, default=3, help="of each process and step")
    add("--length", type=at_least_one, default=1024, help="of a row, in tokens")
    add("--lm-weight", type=partial(_above_zero, zero=True), default=0.1, help="of the loss on text that is no answer")
    add("--rate", type=_above_zero, default=3e-3)
    add("--decay", choices=("linear", "sqrt"), default="linear")
    add("--check-seconds", type=_above_zero, default=300)
    add("--save-seconds", type=_above_zero, default=300)
    add("--held-samples", type=at_least_one, default=600)
    add("--no-compile", action="store_true", help="slower, without a C++ compiler")
    return parser


def main() -> int:
    """Parse, prepare, train; an exit code."""
    args = _parser().parse_args()
    gpu = torch.cuda.is_available()
    try:
        if args.natural:
            os.environ["CALLSPAN_NATURAL"] = str(readable(args.natural, WRITE_IT).resolve())
        readable(args.template, "name one: --template models/default/chat_template.jinja of a checkout")
        args.out.mkdir(parents=True, exist_ok=True)
        size = launch.prepare(args.out, args.source, args.seed, args.vocabulary, args.tokenizer_samples, args.template)
        plan = Plan(
            source=args.source,
            held=args.held,
            out=args.out,
            shape=replace(SIZES[args.size], vocabulary=size, window=max(1024, args.length)),
            seed=args.seed,
            minutes=args.minutes,
            tokens=args.tokens,
            processes=1 if gpu else args.processes,
            rows=args.rows,
            length=args.length,
            lm_weight=args.lm_weight,
            rates=Rates(muon=args.rate, adam=args.rate, decay=args.decay),
            check_seconds=args.check_seconds,
            save_seconds=args.save_seconds,
            held_samples=args.held_samples,
            compiled=not args.no_compile,
            device="cuda" if gpu else "cpu",
        )
        return launch.run(plan, sys.argv[1:])
    except Trouble as trouble:
        say(str(trouble))
    except OSError as error:
        say(told(error))
    except (ValueError, ImportError) as error:
        say(f"error: {error}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
