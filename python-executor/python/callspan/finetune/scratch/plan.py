"""What a training run is, as its processes and its checkpoint know it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from callspan.finetune.scratch.model import Shape
from callspan.finetune.scratch.optimizer import Rates


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run. Two runs with one plan, a number of tokens and as many processes are equal."""

    source: str
    held: str
    """The held-out samples' source; the training source with another seed if it is empty."""
    out: Path
    shape: Shape
    seed: int = 0
    minutes: float | None = None
    """Of wall-clock time, over all resumptions; or:"""
    tokens: int | None = None
    """Positions in rows, padding included."""
    processes: int = 4
    rows: int = 3
    """Of each process and step."""
    length: int = 1024
    lm_weight: float = 0.1
    rates: Rates = field(default_factory=Rates)
    check_seconds: float = 300.0
    save_seconds: float = 300.0
    held_samples: int = 400
    compiled: bool = True
    device: str = "cpu"

    @property
    def positions(self) -> int:
        """Positions in rows of a step, of all processes."""
        return self.processes * self.rows * self.length

    def progress(self, seconds: float, steps: int) -> float:
        """The share of the run that is over, 0 to 1."""
        if self.tokens is not None:
            return min(1.0, steps * self.positions / self.tokens)
        return min(1.0, seconds / (60 * (self.minutes or 1)))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be gone on from."""
        return {"shape": asdict(self.shape), "source": self.source, "seed": self.seed, "processes": self.processes}
