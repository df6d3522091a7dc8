"""training.json: what a model card must say about a run, and what is needed to run it again."""

import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from callspan.finetune.errors import say
from callspan.finetune.scratch import checkpoint, course
from callspan.finetune.scratch.plan import Plan
from callspan.finetune.scratch.source import find, fingerprint

_HASHED_SAMPLES = 1000


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _source_file(name: str) -> Path | None:
    if name.endswith(".jsonl"):
        return Path(name)
    found = importlib.util.find_spec(name.partition(":")[0])
    return Path(found.origin) if found and found.origin else None


def _sha256(file: Path | None) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else None


def begin(plan: Plan, command: list[str]) -> None:
    """Write what is known when a run begins, or goes on; with other data it does not go on."""
    path = plan.out / "training.json"
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    data = {
        "source": plan.source,
        "source_file_sha256": _sha256(_source_file(plan.source)),
        "natural_sha256": _sha256(course.natural()),
        "first_samples": _HASHED_SAMPLES,
        "first_samples_sha256": fingerprint(
            list(itertools.islice(find(plan.source)(plan.seed, 0), _HASHED_SAMPLES)),
        ),
    }
    before = old.get("data", data)
    if before["first_samples_sha256"] != data["first_samples_sha256"]:
        raise ValueError(f"{plan.out} was begun with other data: take another --out, or what it was begun with")
    settings = asdict(plan) | {"out": plan.out.name}
    machine = {"processor": _processor(), "cores": os.cpu_count(), "system": platform.platform()}
    versions = {name: importlib.metadata.version(name) for name in ("torch", "tokenizers", "safetensors")}
    versions["python"] = platform.python_version()
    row = {"command": command, "plan": settings, "data": data, "machine": machine, "versions": versions}
    row["started"] = [*old.get("started", []), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())]
    checkpoint.write(path, (json.dumps(row, indent=2) + "\n").encode())


def end(plan: Plan) -> None:
    """Add how a run went."""
    path = plan.out / "training.json"
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        lines = (plan.out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        score = plan.out / "best" / "score.json"
        row["best"] = json.loads(score.read_text(encoding="utf-8")) if score.exists() else None
    except OSError as error:
        say(f"no end in {path}: {error}")
        return
    trained = [step for step in map(json.loads, lines) if "positions" in step]
    row["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    row["result"] = trained[-1] if trained else None
    checkpoint.write(path, (json.dumps(row, indent=2) + "\n").encode())
