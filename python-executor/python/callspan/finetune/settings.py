"""What a run of fine-tuning is asked for: the command line, and what of it must be the same to go on with a run."""

from __future__ import annotations

import argparse
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callspan.finetune.errors import FinetuneError

# After Google's cookbook: fully with a small rate, LoRA with ten times as much.
RATES = {"full": 1e-5, "lora": 1e-4}
# numpy's.
SEEDS = 2**32
# These say where a run is and how it tells of itself, not what it computes.
FREE = ("out", "save_every", "gradient_checkpointing", "keep_going", "unsloth")

EXAMPLES = """examples:
  python -m callspan.finetune --base ~/functiongemma-270m-it --data train.jsonl --out ~/my-adapter --lora
  python -m callspan.finetune --base ~/functiongemma-270m-it --data train.jsonl --out ~/my-model --full
  torchrun --nproc-per-node 4 -m callspan.finetune --base … --data … --out … --lora   four graphics processors
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. The number of examples a step is batch · accumulation · processes."""

    base: Path
    data: tuple[Path, ...]
    out: Path
    how: str
    validation: Path | None = None
    rank: int = 8
    alpha: float = 16
    epochs: float = 2
    max_steps: int = -1
    batch: int = 4
    accumulation: int = 8
    learning_rate: float | None = None
    max_length: int = 1024
    seed: int = 0
    save_every: int = 50
    precision: str = "auto"
    gradient_checkpointing: bool = False
    keep_going: bool = False
    unsloth: bool = True

    @property
    def rate(self) -> float:
        """The learning rate, if none was given the usual one."""
        return RATES[self.how] if self.learning_rate is None else self.learning_rate

    def kept(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with, as JSON has it."""
        return {
            field.name: str(value.resolve()) if isinstance(value := getattr(self, field.name), Path) else value
            for field in dataclasses.fields(self)
            if field.name not in (*FREE, "data", "validation")
        }


def parse(arguments: list[str] | None = None) -> Settings:
    """The settings of a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune",
        description="Fine-tunes a Gemma 3 text model on conversations with tools.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--base", type=Path, required=True, metavar="DIR", help="the checkpoint to begin with: a Hugging Face directory"
    )
    add(
        "--data",
        type=Path,
        required=True,
        nargs="+",
        metavar="FILE",
        help="JSON lines: TRL, mobile-actions, recordings",
    )
    add(
        "--out", type=Path, required=True, metavar="DIR", help="where the adapter or model goes; the same again goes on"
    )
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--lora", dest="how", action="store_const", const="lora", help="train an adapter beside the weights"
    )
    how.add_argument("--full", dest="how", action="store_const", const="full", help="train all weights")
    add(
        "--validation", type=Path, metavar="FILE", help="conversations whose loss is told, and which are not trained on"
    )
    add("--rank", type=positive, default=8, metavar="N", help="of LoRA's matrices [%(default)s]")
    add("--alpha", type=float, default=16, metavar="X", help="LoRA's scale, over the rank [%(default)s]")
    add("--epochs", type=float, default=2, metavar="X", help="times that all the data is seen [%(default)s]")
    add("--max-steps", type=positive, default=-1, metavar="N", help="stop after so many steps, whatever the epochs")
    add("--batch", type=positive, default=4, metavar="N", help="examples at once in each process [%(default)s]")
    add("--accumulation", type=positive, default=8, metavar="N", help="batches that make a step [%(default)s]")
    add(
        "--learning-rate",
        type=float,
        metavar="X",
        help="highest rate of the cosine [lora 1e-4, full 1e-5]",
    )
    add("--max-length", type=positive, default=1024, metavar="N", help="longer examples are left out [%(default)s]")
    add("--seed", type=int, default=0, metavar="N", help="of the order and of LoRA's beginning [%(default)s]")
    add("--save-every", type=positive, default=50, metavar="N", help="steps between two checkpoints [%(default)s]")
    add("--precision", choices=("auto", "bf16", "f32"), default="auto", help="auto: bf16 where the device has it")
    add("--gradient-checkpointing", action="store_true", help="less memory, a third more time")
    add("--keep-going", action="store_true", help="leave out lines that break the format, and tell each")
    add("--no-unsloth", dest="unsloth", action="store_false", help="do not use Unsloth, though it is installed")
    settings = Settings(**_tuples(vars(parser.parse_args(arguments))))
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuses what cannot be meant, before anything is loaded."""
    for path in (*settings.data, *([settings.validation] if settings.validation else [])):
        if not path.is_file():
            raise FinetuneError(f"{path} is not a file", "give a file of JSON lines")
    if not all(0 < value < math.inf for value in (settings.epochs, settings.rate, settings.alpha)):
        raise FinetuneError("epochs, learning rate and alpha are numbers above 0", "leave them out for the usual ones")
    if not 0 <= settings.seed < SEEDS:
        raise FinetuneError(f"{settings.seed} is no seed", f"give one from 0 to {SEEDS - 1}")
    if settings.out.resolve() == settings.base.resolve():
        raise FinetuneError("--out is the base itself, which stays as it is", "give another directory")


def positive(text: str) -> int:
    """A whole number of a command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return int(text)


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return given | {"data": tuple(given["data"])}
