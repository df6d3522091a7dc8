"""Curves of a run, the only use of matplotlib: `python -m callspan.finetune.scratch.plot DIR` writes DIR/curves.png."""

import json
import sys
from pathlib import Path

from callspan.evaluate.errors import Trouble
from callspan.finetune.errors import FinetuneError, need, say


def draw(folder: Path) -> Path:
    """Loss and answers over positions and minutes, from metrics.jsonl."""
    need("matplotlib")
    metrics = folder / "metrics.jsonl"
    if not metrics.is_file():
        raise FinetuneError(f"{metrics} is not there", "name the --out of a run that has begun to train")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    train, held = [r for r in rows if "loss" in r], [r for r in rows if "held" in r]
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    left.plot([r["seconds"] / 60 for r in train], [r["loss"] for r in train], lw=1, label="training, weighted")
    kinds = sorted({kind for r in held for kind in r["held"]} - {"all"})
    colours = {what: f"C{number % 10}" for number, what in enumerate(dict.fromkeys(map(_what, kinds)))}
    styles = dict(zip(dict.fromkeys(map(_side, kinds)), ("-", ":", "-."), strict=False))
    for name, line in (("weights", "-"), ("mean", "--")):
        some = [r for r in held if r["of"] == name]
        minutes = [r["seconds"] / 60 for r in some]
        left.plot(minutes, [r["held"]["all"]["loss"] for r in some], line, label=f"held out, {name}")
        if name == "weights":
            for kind in kinds:
                right.plot(
                    minutes,
                    [100 * r["held"][kind]["exact"] for r in some],
                    styles.get(_side(kind), "--"),
                    color=colours[_what(kind)],
                    lw=1,
                    label=kind,
                )
        right.plot(minutes, [100 * r["held"]["all"]["exact"] for r in some], "k" + line, lw=2, label=f"all, {name}")
    left.set(xlabel="minutes", ylabel="nats a token", yscale="log", title="Loss")
    right.set(xlabel="minutes", ylabel="% of answers exact", ylim=(0, 101), title="Held-out answers, teacher-forced")
    left.legend(fontsize=8)
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    path = folder / "curves.png"
    figure.savefig(path, dpi=120)
    return path


def _side(kind: str) -> str:
    """`held` of `held-call`: its line's style."""
    return kind.rpartition("-")[0]


def _what(kind: str) -> str:
    """`call` of `held-call`: its line's colour."""
    return kind.rpartition("-")[2]


def main() -> int:
    """Draw the run that the command line names; an exit code."""
    if len(sys.argv) != 2:
        say("usage: python -m callspan.finetune.scratch.plot DIR")
        return 2
    try:
        sys.stdout.write(f"{draw(Path(sys.argv[1]))}\n")
    except Trouble as trouble:
        say(str(trouble))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
