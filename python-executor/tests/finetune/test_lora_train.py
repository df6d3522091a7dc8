"""Training: the loss falls, what is not to change does not, and the usual settings are the cookbook's."""

import json
from pathlib import Path

import greenhouse
import pytest
import torch
from safetensors.torch import load_file

from callspan.finetune import checkpoints, errors, examples, models, settings, train


def test_the_loss_falls_and_what_came_of_it_is_told(tuned):
    assert tuned.done["steps"] == 12
    assert tuned.done["last_loss"] < tuned.done["first_loss"] / 2
    assert 0 < tuned.done["validation_loss"] < tuned.done["first_loss"] / 2
    assert "step 1 of 12: loss" in tuned.talk
    assert "Warning" not in tuned.talk


def test_the_base_stays_as_it_is_to_the_bit(tuned, conversations, tmp_path):
    assert greenhouse.hashes(greenhouse.DEFAULT) == tuned.before
    asked = greenhouse.lora(greenhouse.DEFAULT, conversations, tmp_path / "out", 2)
    given = settings.parse(asked)
    tokenizer = models.tokenizer(given.base)
    data = examples.read(given.data, tokenizer, given.max_length, False)
    work = checkpoints.Run(given.out, {})
    work.begin()
    trainer = train.make_trainer(given, tokenizer, data, None, work)
    trainer.train()
    base = models.load(given.base, "float32").state_dict()
    found = {
        key.removeprefix("base_model.model.").replace(".base_layer", ""): tensor
        for key, tensor in trainer.model.state_dict().items()
        if "lora_" not in key
    }
    assert found.keys() == base.keys()
    assert all(torch.equal(found[key], base[key]) for key in base)
    assert any(tensor.abs().max() > 0 for key, tensor in trainer.model.state_dict().items() if "lora_B" in key)


def test_an_adapter_changes_the_seven_matrices_and_never_the_head(tuned):
    config = json.loads((tuned.out / "adapter_config.json").read_text())
    assert sorted(config["target_modules"]) == sorted(models.MODULES)
    assert (config["r"], config["lora_alpha"], config["modules_to_save"]) == (8, 16, None)
    assert config["base_model_name_or_path"] == str(greenhouse.DEFAULT)
    weights = load_file(tuned.out / "adapter_model.safetensors")
    layers = json.loads((greenhouse.DEFAULT / "config.json").read_text())["num_hidden_layers"]
    assert len(weights) == layers * 7 * 2
    assert not [key for key in weights if "embed" in key or "head" in key]
    assert all(weights[key].abs().max() > 0 for key in weights)


def test_a_whole_model_is_trained_and_keeps_its_base_s_shape(conversations, tmp_path):
    out = tmp_path / "model"
    asked = ["--base", greenhouse.DEFAULT, "--data", conversations, "--validation", conversations, "--out", out]
    done, _ = greenhouse.train(*asked, "--full", "--max-steps", 6, "--learning-rate", 1e-3)
    assert done["validation_loss"] < done["first_loss"] / 2
    before, behind = (load_file(folder / "model.safetensors") for folder in (greenhouse.DEFAULT, out))
    assert {key: (one.shape, one.dtype) for key, one in before.items()} == {
        key: (one.shape, one.dtype) for key, one in behind.items()
    }
    assert not torch.equal(before["model.embed_tokens.weight"], behind["model.embed_tokens.weight"])
    for name in ("config.json", "generation_config.json"):
        assert json.loads((out / name).read_text()) == json.loads((greenhouse.DEFAULT / name).read_text())
    assert (out / "tokenizer.json").read_bytes() == (greenhouse.DEFAULT / "tokenizer.json").read_bytes()


def test_bf16_and_less_memory_train_as_well(tuned, conversations, tmp_path):
    asked = ["--base", greenhouse.DEFAULT, "--data", conversations, "--validation", conversations, "--max-steps", 6]
    asked += ["--out", tmp_path / "out", "--lora", "--learning-rate", 2e-3]
    done, _ = greenhouse.train(*asked, "--precision", "bf16", "--gradient-checkpointing")
    assert done["first_loss"] == pytest.approx(tuned.done["first_loss"], rel=0.03)
    assert done["validation_loss"] < done["first_loss"]
    weights = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_loss_that_is_no_number_ends_the_run(conversations, tmp_path):
    asked = greenhouse.lora(greenhouse.DEFAULT, conversations, tmp_path / "out", 9)
    _, talk = greenhouse.run("callspan.finetune", "--accumulation", 1, *asked, "--learning-rate", 1e30, status=1)
    assert "is no number" in talk
    assert "Traceback" not in talk
    assert not (tmp_path / "out" / "adapter_model.safetensors").exists()


def test_too_little_memory_is_told_with_what_to_do():
    with pytest.raises(errors.FinetuneError, match="too little memory: CUDA out of memory") as found, models.memory():
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")
    assert "--gradient-checkpointing" in found.value.cure


def test_the_usual_settings_are_the_cookbook_s(conversations):
    asked = ["--base", "b", "--out", "o", "--data", str(conversations)]
    lora, full = (settings.parse([*asked, how]) for how in ("--lora", "--full"))
    assert (full.epochs, full.batch, full.accumulation, full.rate) == (2, 4, 8, 1e-5)
    assert (lora.epochs, lora.batch, lora.accumulation, lora.rate) == (2, 4, 8, 1e-4)
    assert (lora.rank, lora.alpha) == (8, 16)


def test_the_loss_is_of_the_completion_only_and_nothing_is_cut_or_packed(conversations, tmp_path):
    given = settings.parse(
        ["--base", str(greenhouse.DEFAULT), "--data", str(conversations), "--out", str(tmp_path / "out"), "--lora"]
    )
    tokenizer = models.tokenizer(given.base)
    data = examples.read(given.data, tokenizer, given.max_length, False)
    work = checkpoints.Run(given.out, {})
    work.begin()
    trainer = train.make_trainer(given, tokenizer, data, None, work)
    seen = [row for batch in trainer.get_train_dataloader() for row in _rows(batch)]
    wanted = {(prompt + completion, completion) for prompt, completion in greenhouse.pairs(32)}
    assert {(tokenizer.decode(whole), tokenizer.decode(learned)) for whole, learned in seen} == wanted
    assert len(seen) == 32


def _rows(batch) -> list[tuple[list[int], list[int]]]:
    rows = zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True)
    return [(ids[mask == 1].tolist(), labels[labels != examples.IGNORED].tolist()) for ids, mask, labels in rows]


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
def test_what_a_checkpoint_s_numbers_are_is_read_in_both_words(key):
    from callspan.finetune import bases

    assert bases.dtype({key: "float16"}) == "float16"
    assert bases.dtype({}) == "float32"


def test_the_extra_and_the_requirements_of_the_tests_are_the_same():
    import tomllib

    folder = Path(greenhouse.ROOT / "python-executor")
    extra = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["optional-dependencies"]["finetune"]
    lines = (folder / "requirements-finetune.txt").read_text().splitlines()
    assert set(extra) <= set(lines)
