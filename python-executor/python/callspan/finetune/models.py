"""Checkpoints as transformers has them, computing what our engine computes, and the adapters beside them."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callspan.finetune import bases
from callspan.finetune.errors import FinetuneError
from callspan.finetune.settings import Settings

# Never the head, which is the embeddings' matrix: what an adapter adds to one of the two is not added to the other.
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def quiet() -> None:
    """Libraries say what went wrong and nothing else, and stay away from the network."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Everything is in files: nobody is asked about a model, nor told of one.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import transformers

    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def tokenizer(folder: Path) -> Any:
    """A checkpoint's tokenizer, from its files only."""
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer.model").is_file():
        raise FinetuneError(f"{folder} has no tokenizer", "get its tokenizer.json, too")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises nothing narrower
        raise FinetuneError(f"the tokenizer of {folder} cannot be read: {error}", "get its files again") from error


def load(folder: Path, dtype: str) -> Any:
    """A checkpoint's model, its numbers of this type."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    config = bases.config(folder)
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation="eager",
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise FinetuneError(
            f"transformers cannot load {folder}: {error}", "see that all of its files are there"
        ) from None
    missing = sorted(key for key in told["missing_keys"] if key != "lm_head.weight")
    if missing or told.get("mismatched_keys"):
        names = ", ".join([*missing, *map(str, told.get("mismatched_keys") or ())][:3])
        raise FinetuneError(f"{folder} lacks weights or has some of another shape: {names}", "download it again")
    scale_as_kept(model, bases.dtype(config))
    return model


def scale_as_kept(model: Any, dtype: str) -> None:
    """Embeddings are multiplied in the checkpoint's type, which rounds the factor; so do they when it is served."""
    import torch

    scale = torch.tensor(model.config.hidden_size**0.5).to(getattr(torch, dtype))
    embeddings = model.get_input_embeddings()
    embeddings.embed_scale = scale.float().to(embeddings.weight.device)
    embeddings.scalar_embed_scale = scale.item()


def lora(rank: int, alpha: float, base: Path) -> Any:
    """The adapter that is trained."""
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=list(MODULES),
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(base.resolve()),
    )


@contextmanager
def memory() -> Iterator[None]:
    """Tells what to do where a device has too little of it."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        fix = "--gradient-checkpointing, or half of --batch and twice --accumulation"
        raise FinetuneError(f"the device has too little memory: {str(error).splitlines()[0]}", fix, status=1) from None


def precision(asked: str) -> str:
    """What is computed in: bf16 where the device has it. On processors f32, which is exact, unless asked for."""
    import torch

    if asked == "auto":
        return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported(False) else "f32"
    return asked


def refuse_several() -> None:
    """Several devices are trained on by several processes: transformers would multiply the examples of a step."""
    import torch

    there = torch.cuda.device_count()
    if there > 1 and int(os.environ.get("WORLD_SIZE", "1")) == 1:
        fix = f"torchrun --standalone --nproc-per-node {there} -m callspan.finetune …, or CUDA_VISIBLE_DEVICES=0"
        raise FinetuneError(f"there are {there} CUDA devices, and one process trains on one", fix)


def unsloth(settings: Settings) -> bool:
    """Whether Unsloth is used: it needs CUDA, and is of one process."""
    if not settings.unsloth or importlib.util.find_spec("unsloth") is None:
        return False
    import torch

    return torch.cuda.is_available() and int(os.environ.get("WORLD_SIZE", "1")) == 1


def to_train(settings: Settings) -> tuple[Any, Any]:
    """The model that is trained, and the adapter's configuration if the trainer is to put it on."""
    if unsloth(settings):
        return _by_unsloth(settings), None
    bf16 = precision(settings.precision) == "bf16"
    # What is learned is kept in f32: a rate of 1e-5 is lost in bf16. What stands still may be what it was.
    model = load(settings.base, "bfloat16" if bf16 and settings.how == "lora" else "float32")
    return model, lora(settings.rank, settings.alpha, settings.base) if settings.how == "lora" else None


def _by_unsloth(settings: Settings) -> Any:
    """The same by Unsloth's kernels. Nobody has tried this here: it needs a graphics processor."""
    from unsloth import FastLanguageModel

    config = bases.config(settings.base)
    full = settings.how == "full"
    model, _ = FastLanguageModel.from_pretrained(
        str(settings.base), max_seq_length=settings.max_length, load_in_4bit=False, full_finetuning=full
    )
    scale_as_kept(model, bases.dtype(config))
    if full:
        return model
    return FastLanguageModel.get_peft_model(
        model,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=list(MODULES),
        random_state=settings.seed,
        use_gradient_checkpointing=settings.gradient_checkpointing,
    )
