"""One training process: gradients of its own rows, updates of its own pieces, in step with the others."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from callspan.finetune.errors import say
from callspan.finetune.scratch import checkpoint, export, optimizer
from callspan.finetune.scratch.flat import Flat
from callspan.finetune.scratch.model import Model
from callspan.finetune.scratch.packing import Rows
from callspan.finetune.scratch.plan import Plan
from callspan.finetune.scratch.score import Held, table, tensors
from callspan.finetune.scratch.source import find, held_out
from callspan.finetune.scratch.tokenizer import encoder

CHECK, SAVE, STOP = 1, 2, 4
"""What is due after a step."""
SAID_SECONDS = 15.0


@dataclass
class Shared:
    """What the processes have in common."""

    flat: Flat
    barrier: Barrier | None
    orders: Tensor
    """[3] float64, written by process 0: the share of the learning rate, what is due, the best score so far."""
    counts: Tensor
    """[processes, 6] float64: sums of weighted losses, weights, tokens hit, answer tokens, answers, samples drawn."""
    scores: Tensor
    """[processes, kinds, 4] float64: what `Held.score` gives."""
    asked: Tensor
    """[1] set by the parent when a person wants to stop."""


class Worker:
    """A process of the run."""

    def __init__(self, number: int, plan: Plan, shared: Shared, past: dict[str, Any]) -> None:
        self.number, self.plan, self.shared = number, plan, shared
        self.steps, self.before = past["steps"], past["seconds"]
        self.begun = self.checked = self.saved = self.said = time.monotonic()
        self.said_steps, self.told = self.steps, torch.zeros(6, dtype=torch.float64)
        self.model = Model(plan.shape).to(plan.device)
        shared.flat.bind(self.model, number)
        self.pieces = shared.flat.pieces(self.model, plan.processes)[number]
        tokens = encoder(Tokenizer.from_file(str(plan.out / "tokenizer.json")))
        drawn = past["drawn"][number]
        samples = itertools.islice(find(plan.source)(plan.seed, number), drawn, None)
        # Seeded by its place, too: after a resumption the choices are new ones.
        self.rows = Rows(samples, tokens, plan.rows, plan.length, [plan.seed, number, drawn], plan.lm_weight)
        self.drawn = drawn
        self.held = Held(held_out(plan), tokens, number, plan.processes, plan.rows, plan.length)
        self.run: Callable[..., tuple[Tensor, Tensor]] = (
            torch.compile(self.model, dynamic=False) if plan.compiled else self.model
        )

    def wait(self) -> None:
        """Until everybody is here."""
        if self.shared.barrier is not None:
            self.shared.barrier.wait()

    @property
    def seconds(self) -> float:
        """Of training, over all resumptions."""
        return self.before + time.monotonic() - self.begun

    def train(self) -> None:
        """Until the run is over."""
        due = 0
        for batch in self.rows:
            self.shared.flat.grads[self.number].zero_()
            losses, hit = self.run(*tensors(batch, self.plan.device))
            weights = torch.from_numpy(batch.weights).to(self.plan.device)
            loss = (losses * weights).sum()
            (loss / weights.sum()).backward()
            answer = torch.from_numpy(batch.owner >= 0)
            new = (loss.item(), weights.sum().item(), (hit.cpu() & answer).sum().item(), answer.sum().item())
            counts = self.shared.counts[self.number]
            counts[:4] += torch.tensor(new, dtype=torch.float64)
            counts[4], counts[5] = self.rows.answers, self.drawn + self.rows.seen
            if self.number == 0:
                self._order()
            self.wait()
            share, due = self.shared.orders[0].item(), int(self.shared.orders[1])
            optimizer.update(self.shared.flat, self.pieces, self.plan.rates, self.steps, share)
            self.steps += 1
            self.wait()
            self._after(due)
            if due & STOP:
                return
        raise ValueError(
            f"the source {self.plan.source} has ended, or gives nothing that fits into {self.plan.length} tokens: "
            "it must give samples for ever, and --length must hold a tool and a request"
        )

    def _order(self) -> None:
        progress = self.plan.progress(self.seconds, self.steps + 1)
        now, due = time.monotonic(), 0
        if now - self.checked > self.plan.check_seconds:
            due, self.checked = CHECK, now
        if now - self.saved > self.plan.save_seconds:
            due, self.saved = due | SAVE, now
        if progress >= 1:
            due = CHECK | SAVE | STOP
        elif self.shared.asked.item():
            due = SAVE | STOP
        self.shared.orders[0] = optimizer.factor(self.plan.rates, self.steps, progress)
        self.shared.orders[1] = due

    def _after(self, due: int) -> None:
        if self.number == 0 and (due or time.monotonic() - self.said > SAID_SECONDS):
            self._say()
        if due & CHECK:
            self._check()
        if due & SAVE and self.number == 0:
            self._save(done=bool(due & STOP) and not self.shared.asked.item())
        if due:
            self.said = time.monotonic()  # what was done meanwhile is no training
            self.wait()

    def _say(self) -> None:
        total, now = self.shared.counts.sum(0), time.monotonic()
        counts, self.told = total - self.told, total
        speed = (self.steps - self.said_steps) * self.plan.positions / (now - self.said)
        self.said, self.said_steps = now, self.steps
        progress = self.plan.progress(self.seconds, self.steps)
        loss, right = counts[0] / counts[1], counts[2] / counts[3].clamp(min=1)
        left = self.seconds / max(progress, 1e-9) * (1 - progress)
        say(
            f"{progress:6.1%} step {self.steps} loss {loss:.4f} answer tokens right {right:.2%} "
            f"{speed:,.0f} tokens/s {int(total[4]):,} answers, {left / 60:.1f} min left"
        )
        row = {"step": self.steps, "seconds": round(self.seconds, 1), "positions": self.steps * self.plan.positions}
        row |= {
            "loss": round(loss.item(), 5),
            "right": round(right.item(), 5),
            "tokens_per_second": round(speed),
            "answers": int(total[4]),
        }
        checkpoint.append(self.plan.out / "metrics.jsonl", row | {"rate": round(self.shared.orders[0].item(), 4)})

    def _check(self) -> None:
        """Score the weights and their running mean; keep the better of them if it is the best so far."""
        flat = self.shared.flat
        for name, vector in (("weights", flat.master), ("mean", flat.mean)):
            for piece in self.pieces:
                piece.of(flat.weights).copy_(piece.of(vector))
            self.wait()
            self.shared.scores[self.number] = torch.from_numpy(self.held.score(self.run, self.plan.device))
            self.wait()
            if self.number == 0:
                self._judge(name, vector)
        for piece in self.pieces:
            piece.of(flat.weights).copy_(piece.of(flat.master))
        self.wait()

    def _judge(self, name: str, vector: Tensor) -> None:
        scores = table(self.held.kinds, self.shared.scores.sum(0).numpy())
        row = {"step": self.steps, "seconds": round(self.seconds, 1), "of": name, "held": scores}
        checkpoint.append(self.plan.out / "metrics.jsonl", row)
        total = scores["all"]
        say(f"held out, {name}: {total['exact']:.2%} of {total['answers']} exact, loss {total['loss']:.4f}")
        better = total["exact"] - total["loss"] * 1e-3  # the loss decides between equals
        if better > self.shared.orders[2]:
            self.shared.orders[2] = better
            parts = export.files(self.model, flat=self.shared.flat, vector=vector)
            parts["score.json"] = (json.dumps(row, indent=2) + "\n").encode()
            for file, content in parts.items():
                checkpoint.write(self.plan.out / "best" / file, content)

    def _save(self, *, done: bool) -> None:
        state = {
            "identity": self.plan.identity(),
            "steps": self.steps,
            "seconds": self.seconds,
            "drawn": [int(n) for n in self.shared.counts[:, 5]],
            "best": self.shared.orders[2].item(),
            "done": done,
            "rates": asdict(self.plan.rates),
            "flat": self.shared.flat.state(),
        }
        checkpoint.save(self.plan.out / "checkpoint.pt", state)
