"""Which checkpoints can be fine-tuned: Gemma 3's text models, by their config.json. Others are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from callspan.finetune.errors import FinetuneError

MODEL_TYPE, ARCHITECTURE = "gemma3_text", "Gemma3ForCausalLM"
MULTIMODAL = ("gemma3", "Gemma3ForConditionalGeneration")
# The types of a checkpoint's numbers, by torch's names.
DTYPES = ("bfloat16", "float16", "float32")
# Copied as they are, so that whatever is made of a base cuts text exactly as it does.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json")


def config(folder: Path) -> dict[str, Any]:
    """A checkpoint's config.json, if it is one of a Gemma 3 text model."""
    path = folder / "config.json"
    if not folder.exists():
        raise FinetuneError(f"{folder} does not exist", f"hf download ORGANISATION/NAME --local-dir {folder}")
    if folder.is_file():
        raise FinetuneError(
            f"{folder} is a file", "give the directory of a Hugging Face checkpoint: GGUF is not trained"
        )
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            merge = (
                "python -m callspan.finetune.export --model ADAPTER --to safetensors --out DIR merges it into a base"
            )
            raise FinetuneError(f"{folder} is an adapter, no checkpoint", merge)
        raise FinetuneError(f"{folder} has no config.json", "give the directory of a Hugging Face checkpoint")
    found = read_json(path)
    refuse_others(folder, found)
    return found


def read_json(path: Path, cure: str = "get it again") -> dict[str, Any]:
    """The object that a file holds."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise FinetuneError(f"{path} is no JSON: {error}", cure) from None
    if not isinstance(found, dict):
        raise FinetuneError(f"{path} holds no JSON object", cure)
    return found


def refuse_others(folder: Path, found: dict[str, Any]) -> None:
    """Names the architecture that cannot be trained, and what could be done."""
    kind, names = found.get("model_type"), found.get("architectures") or []
    if kind == MULTIMODAL[0] or MULTIMODAL[1] in names:
        text = f"python -m callspan.finetune.export --model {folder} --to text --out DIR takes its text part"
        raise FinetuneError(f"{folder} is a multimodal Gemma 3 ({MULTIMODAL[1]})", text)
    if kind != MODEL_TYPE or (names and ARCHITECTURE not in names):
        told = f"{', '.join(names) or 'no architecture'}, model_type {kind!r}"
        raise FinetuneError(
            f"{folder} is a model of another architecture ({told})",
            f"give a Gemma 3 text model ({ARCHITECTURE}), such as google/functiongemma-270m-it",
        )
    if found.get("quantization_config"):
        raise FinetuneError(
            f"{folder} is quantised, and cannot be trained", "give the checkpoint that it was made from"
        )
    if dtype(found) not in DTYPES:
        raise FinetuneError(f"{folder} has numbers of type {dtype(found)}", f"there are {', '.join(DTYPES)}")


def config_of(base: Path, dtype: str) -> dict[str, Any]:
    """The base's config.json for weights of a type. What newer transformers writes is told in the older words, too."""
    found = config(base)
    for key in ("dtype", "torch_dtype"):
        found[key] = dtype
    kinds = found.get("rope_parameters") or {}
    for key, kind in (("rope_theta", "full_attention"), ("rope_local_base_freq", "sliding_attention")):
        if found.get(key) is None and isinstance(kinds.get(kind), dict) and "rope_theta" in kinds[kind]:
            found[key] = kinds[kind]["rope_theta"]
    return found


def dtype(found: dict[str, Any]) -> str:
    """The type of a checkpoint's numbers, by torch's name."""
    return str(found.get("dtype") or found.get("torch_dtype") or "float32")


def write_tokenizer(base: Path, out: Path, template: str) -> None:
    """The base's tokenizer as it is, with our template."""
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            (out / name).write_bytes((base / name).read_bytes())
    kept = base / "tokenizer_config.json"
    if kept.is_file():
        found = read_json(kept)
        found.pop("chat_template", None)
        (out / "tokenizer_config.json").write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", "utf-8")
    (out / "chat_template.jinja").write_text(template, "utf-8")


def ends(tokenizer: Any, found: list[int] | int | None) -> list[int]:
    """The tokens that end an answer: the checkpoint's own, and those that the format has."""
    known = [] if found is None else [found] if isinstance(found, int) else list(found)
    for text in ("<end_of_turn>", "<start_function_response>"):
        number = tokenizer.convert_tokens_to_ids(text)
        if number is not None and number != tokenizer.unk_token_id and number not in known:
            known.append(number)
    return known
