"""What a run leaves: an adapter for PEFT or a checkpoint for Hugging Face, each with tokenizer and template."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from callspan.finetune import bases, checkpoints, models
from callspan.finetune.settings import Settings


def template() -> str:
    """Our chat template, with the marks of what the model generates."""
    return resources.files("callspan.finetune").joinpath("chat_template.jinja").read_text("utf-8")


def write(settings: Settings, model: Any) -> None:
    """Writes the result beside the run's own files: whole, or not at all."""
    part = settings.out / checkpoints.PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    if settings.how == "lora":
        write_adapter(model, settings.base, part)
    else:
        write_model(model, settings.base, part, bases.dtype(bases.config(settings.base)))
    for path in part.iterdir():
        # safetensors makes files that nobody else may read.
        path.chmod(0o644)
        path.replace(settings.out / path.name)
    part.rmdir()


def write_adapter(model: Any, base: Path, out: Path) -> None:
    """adapter_config.json and adapter_model.safetensors, without a card that says nothing."""
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    path = out / "adapter_config.json"
    found = json.loads(path.read_text("utf-8")) | {"base_model_name_or_path": str(base.resolve())}
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    bases.write_tokenizer(base, out, template())


def write_model(model: Any, base: Path, out: Path, dtype: str) -> None:
    """A checkpoint of the base's architecture: its config.json, tokenizer and ends, and these weights in this type."""
    import torch

    model = model.to(getattr(torch, dtype))
    model.save_pretrained(out)
    (out / "config.json").write_text(json.dumps(bases.config_of(base, dtype), indent=2) + "\n", "utf-8")
    write_tokenizer_and_ends(base, out)


def write_tokenizer_and_ends(base: Path, out: Path) -> None:
    """The base's tokenizer with our template, and its generation_config.json with all tokens that end an answer."""
    bases.write_tokenizer(base, out, template())
    kept = base / "generation_config.json"
    generation = bases.read_json(kept) if kept.is_file() else {}
    generation["eos_token_id"] = bases.ends(models.tokenizer(out), generation.get("eos_token_id"))
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", "utf-8")
