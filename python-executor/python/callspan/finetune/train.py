"""One run of fine-tuning, from the files to the adapter or the model: TRL's trainer, fed with our tokens."""

from __future__ import annotations

import math
import os
import time
from typing import Any

from callspan.finetune import bases, checkpoints, examples, models, results
from callspan.finetune.errors import FinetuneError, say
from callspan.finetune.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Trains, or goes on with what was begun; what came of it."""
    from accelerate.utils import gather_object

    began = time.monotonic()
    config = bases.config(settings.base)
    asked = settings.kept() | {"data": examples.fingerprint(settings.data), "processes": processes()}
    work = checkpoints.Run(settings.out, asked)
    if work.done():
        say(f"{settings.out} is done already")
        return {"out": str(settings.out), "done": True, "steps": 0}
    models.refuse_several()
    if models.unsloth(settings):
        import unsloth  # noqa: F401 - it must come before what it changes
    models.quiet()
    tokenizer = models.tokenizer(settings.base)
    examples.check_tokens(tokenizer, config["vocab_size"])
    data = examples.read(settings.data, tokenizer, settings.max_length, settings.keep_going)
    held = (
        examples.read([settings.validation], tokenizer, settings.max_length, settings.keep_going)
        if settings.validation
        else None
    )
    say(f"{len(data.rows)} examples, {data.learned} tokens to learn" + (f"; {len(held.rows)} to check" if held else ""))
    with work.room():
        work.begin()
    trainer = make_trainer(settings, tokenizer, data, held, work)
    last = work.last()
    if len(set(gather_object([last and last.name]))) > 1:
        fix = "put --out on a disk that all machines share"
        raise FinetuneError("the processes see different checkpoints", fix, status=1)
    if last:
        say(f"goes on from {last}")
    with work.room(), models.memory():
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        if held and not any(
            row.get("step") == trainer.state.global_step and "eval_loss" in row for row in history(trainer)
        ):
            trainer.evaluate()
        return finish(settings, trainer, work, time.monotonic() - began)


def finish(settings: Settings, trainer: Any, work: checkpoints.Run, seconds: float) -> dict[str, Any]:
    """Writes the result, and tells of it."""
    losses = [row["loss"] for row in history(trainer) if "loss" in row]
    checked = [row["eval_loss"] for row in history(trainer) if "eval_loss" in row]
    if trainer.args.should_save:
        results.write(settings, trainer.accelerator.unwrap_model(trainer.model))
        work.finish()
    trainer.accelerator.wait_for_everyone()
    say(f"done: {settings.out}")
    return {
        "out": str(settings.out),
        "done": True,
        "steps": trainer.state.global_step,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "validation_loss": checked[-1] if checked else None,
        "seconds": round(seconds, 1),
    }


def history(trainer: Any) -> list[dict[str, Any]]:
    """What was told of each step, of those before a resumption, too."""
    return trainer.state.log_history


def make_trainer(
    settings: Settings, tokenizer: Any, data: examples.Tokens, held: examples.Tokens | None, work: checkpoints.Run
) -> Any:
    """TRL's trainer. The tokens are made already, with what the loss is of: it neither cuts nor packs them."""
    import torch
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    cuda = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(work.folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.rate,
        lr_scheduler_type="cosine",
        optim="adamw_torch_fused" if cuda else "adamw_torch",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=checkpoints.KEPT,
        eval_strategy="steps" if held else "no",
        eval_steps=settings.save_every,
        seed=settings.seed,
        bf16=models.precision(settings.precision) == "bf16",
        use_cpu=not cuda,
        ddp_backend="gloo" if processes() > 1 and not cuda else None,
        ddp_find_unused_parameters=False,
        activation_checkpointing=settings.gradient_checkpointing,
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=cuda,
        disable_tqdm=True,
        report_to="none",
    )
    model, adapter = models.to_train(settings)
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset(data),
        eval_dataset=dataset(held) if held else None,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[_watch(work)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def dataset(found: examples.Tokens) -> Any:
    """The tokens as `datasets` has them, in memory."""
    from datasets import Dataset, Features, List, Value

    numbers = List(Value("int32"))
    return Dataset.from_list(found.rows, features=Features({"input_ids": numbers, "labels": numbers}))


def _watch(work: checkpoints.Run) -> Any:
    """Tells how far a run is, and seals its checkpoints."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
            step, most = state.global_step, state.max_steps
            if logs and not math.isfinite(logs.get("loss", 0.0)):
                raise FinetuneError(f"the loss of step {step} is no number", "give a lower --learning-rate", status=1)
            if logs and "loss" in logs and (step in (1, most) or step % max(1, most // 20) == 0):
                say(f"step {step} of {most}: loss {logs['loss']:.4f}, rate {logs['learning_rate']:.1e}")
            if logs and "eval_loss" in logs:
                say(f"step {step} of {most}: validation loss {logs['eval_loss']:.4f}")

        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            if args.should_save:
                work.seal(state.global_step)

    return Watch()


def processes() -> int:
    """How many train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
