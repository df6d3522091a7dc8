"""The text part of a multimodal Gemma 3, as a checkpoint of its own: the same numbers by the names of a text model."""

from __future__ import annotations

import json
from pathlib import Path

from callspan.finetune import bases, results
from callspan.finetune.errors import FinetuneError

# Older and newer checkpoints name it otherwise.
BEFORE = (
    ("language_model.model.", "model."),
    ("model.language_model.", "model."),
    ("language_model.lm_head.", "lm_head."),
)


def own_name(theirs: str) -> str | None:
    """What the text model calls a tensor, if it has it."""
    for before, after in BEFORE:
        if theirs.startswith(before):
            return after + theirs.removeprefix(before)
    return theirs if theirs.startswith("lm_head.") else None


def write(folder: Path, out: Path) -> None:
    """Writes the text part of a checkpoint."""
    from safetensors import safe_open
    from safetensors.torch import save_file
    from transformers import Gemma3TextConfig

    found = bases.read_json(folder / "config.json")
    if bases.MULTIMODAL[1] not in (found.get("architectures") or []) or "text_config" not in found:
        raise FinetuneError(f"{folder} is no {bases.MULTIMODAL[1]}", "give a multimodal Gemma 3")
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as opened:
            for theirs in opened.keys():  # noqa: SIM118 - it is no dictionary
                own = own_name(theirs)
                if own:
                    weights[own] = opened.get_tensor(theirs)
    if not weights:
        raise FinetuneError(f"{folder} has no text part in its *.safetensors", "download it again")
    config = Gemma3TextConfig(**found["text_config"]).to_dict()
    config |= {"model_type": bases.MODEL_TYPE, "architectures": [bases.ARCHITECTURE]}
    if config["tie_word_embeddings"]:
        weights.pop("lm_head.weight", None)
    dtype = str(weights["model.embed_tokens.weight"].dtype).removeprefix("torch.")
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (out / "config.json").write_text(json.dumps(bases.config_of(out, dtype), indent=2) + "\n", "utf-8")
    results.write_tokenizer_and_ends(folder, out)
