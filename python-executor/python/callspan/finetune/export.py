"""`python -m callspan.finetune.export`: what was trained, in the form that someone else reads."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callspan.finetune import bases, engine, gguf_file, models, parity, results, textpart
from callspan.finetune.data import formats
from callspan.finetune.errors import PACKAGES, FinetuneError, disk_full, guarded, need, say

ADAPTER = "adapter_model.safetensors"
FORMS = ("safetensors", "adapter", "gguf", "text")
DTYPES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}


@dataclass(slots=True)
class Asked:
    """One export."""

    model: Path
    to: str
    out: Path
    base: Path | None
    type: str | None
    data: list[Path]


def parse(arguments: list[str] | None) -> Asked:
    """What a command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m callspan.finetune.export",
        description="Writes an adapter or a model as a checkpoint, as PEFT's files or as a GGUF.",
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="what was trained: an adapter or a checkpoint")
    add("--to", choices=FORMS, required=True, help="text takes the text part of a multimodal Gemma 3")
    add("--out", type=Path, required=True, metavar="PATH", help="a directory that is not there yet, or a .gguf file")
    add("--base", type=Path, metavar="DIR", help="the adapter's base [the one that it was trained on]")
    add("--type", choices=gguf_file.TYPES, help="of the numbers [the base's; for a GGUF bf16]")
    add("--data", type=Path, nargs="+", default=[], metavar="FILE", help="conversations to compare a GGUF on, besides")
    asked = Asked(**vars(parser.parse_args(arguments)))
    check(asked)
    return asked


def check(asked: Asked) -> None:
    """Refuses what cannot be done, and what would be left aside, before anything is loaded."""
    if not asked.model.exists():
        raise FinetuneError(f"{asked.model} does not exist", "give the directory of an adapter or a checkpoint")
    if asked.to == "gguf" and asked.out.suffix != ".gguf":
        raise FinetuneError(f"{asked.out} does not end in .gguf, by which such a file is known", "give another --out")
    if asked.to == "safetensors" and asked.type == "q8_0":
        raise FinetuneError("q8_0 is a type of GGUF", "--type bf16, f16 or f32")
    takes = {"--type": ("safetensors", "gguf"), "--base": ("safetensors", "gguf"), "--data": ("gguf",)}
    for flag, forms in takes.items():
        if getattr(asked, flag[2:]) and asked.to not in forms:
            raise FinetuneError(f"{flag} is not for --to {asked.to}", f"leave it out: it is for {', '.join(forms)}")


def merged(asked: Asked) -> tuple[Any, Path]:
    """The model in f32, its adapter merged into it, and the folder of its base."""
    path = asked.model / "adapter_config.json"
    if not path.is_file():
        return models.load(asked.model, "float32").eval(), asked.model
    from peft import PeftModel
    from safetensors import SafetensorError

    if not (asked.model / ADAPTER).is_file():
        raise FinetuneError(f"{asked.model} has no {ADAPTER}", "get it again")
    base = asked.base or Path(bases.read_json(path).get("base_model_name_or_path") or "")
    if not (base / "config.json").is_file():
        raise FinetuneError(f"the base of {asked.model}, {base}, is not there", "say where it is: --base DIR")
    try:
        adapted = PeftModel.from_pretrained(models.load(base, "float32"), asked.model)
    except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise FinetuneError(f"{asked.model} is no adapter of {base}: {error}", "give its base: --base DIR") from None
    return adapted.merge_and_unload().eval(), base


def to_adapter(asked: Asked, part: Path) -> None:
    """PEFT's files as they are."""
    for name in ("adapter_config.json", ADAPTER):
        if not (asked.model / name).is_file():
            raise FinetuneError(f"{asked.model} has no {name}: it is no adapter", "export it --to safetensors")
        shutil.copyfile(asked.model / name, part / name)
    bases.write_tokenizer(asked.model, part, results.template())


def to_safetensors(asked: Asked, part: Path) -> None:
    """A whole checkpoint."""
    model, base = merged(asked)
    results.write_model(model, base, part, DTYPES[asked.type] if asked.type else bases.dtype(bases.config(base)))


def to_gguf(asked: Asked, part: Path) -> None:
    """A GGUF, which stays only if our engine computes from it what transformers computes from the model."""
    need("gguf")
    engine.program()
    kind = asked.type or "bf16"
    try:
        given = parity.texts(asked.data)
    except formats.FormatError as error:
        raise FinetuneError(str(error), "give files that `python -m callspan.finetune.check` takes") from None
    model, base = merged(asked)
    gguf_file.write(part, asked.out.stem, model, base, kind)
    found = parity.compare(part, model, models.tokenizer(base), lambda one: gguf_file.round_as(one, kind), given)
    say(f"compared with transformers: {found}")
    if not found.same:
        raise FinetuneError(
            "our engine computes something else from the GGUF: it is removed",
            "serve the checkpoint or the adapter, and report this with the line above",
            status=1,
        )


def export(asked: Asked) -> None:
    """Writes it whole, or leaves nothing."""
    if asked.out.exists():
        raise FinetuneError(f"{asked.out} is there already", "give another --out, or remove it")
    models.quiet()
    part = asked.out.with_name(f".{asked.out.name}.part{'.gguf' if asked.to == 'gguf' else ''}")
    remove(part)
    try:
        if asked.to == "gguf":
            part.parent.mkdir(parents=True, exist_ok=True)
            to_gguf(asked, part)
        else:
            part.mkdir(parents=True)
            how = {"adapter": to_adapter, "safetensors": to_safetensors}.get(asked.to)
            if how:
                how(asked, part)
            else:
                textpart.write(asked.model, part)
            for path in part.iterdir():
                path.chmod(0o644)
        part.rename(asked.out)
    except Exception as error:
        if asked.out.parent.is_dir() and disk_full(error, asked.out.parent):
            raise FinetuneError(f"the disk is full, where {asked.out} was to be", "make room", status=1) from error
        raise
    finally:
        remove(part)
    say(f"done: {asked.out}")


def remove(part: Path) -> None:
    """What a run that ended early has left."""
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Exports as the command line says; the exit status: 1 if a GGUF differed."""

    def work() -> int:
        asked = parse(arguments)
        need(*PACKAGES)
        export(asked)
        return 0

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
