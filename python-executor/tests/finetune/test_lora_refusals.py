"""What is not trained on, not trained, or not there, is told with what could be done."""

import importlib.util
import json
import shutil

import greenhouse
import pytest
import torch

from callspan.finetune import __main__ as program
from callspan.finetune import bases, check, errors, examples, models


def base(folder, **changes):
    """The built-in model's directory, with another config.json."""
    shutil.copytree(greenhouse.DEFAULT, folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def refused(capsys, conversations, folder, out=None):
    out = out or folder.parent / "out"
    asked = ["--base", folder, "--data", conversations, "--out", out, "--lora"]
    assert program.main([str(one) for one in asked]) == 2
    assert not out.exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "LlamaForCausalLM, model_type 'llama'"),
        ({"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]}, "Gemma2ForCausalLM, model_type 'gemma2'"),
        ({"architectures": ["Gemma3ForSequenceClassification"]}, "Gemma3ForSequenceClassification"),
        ({"model_type": None, "architectures": None}, "no architecture, model_type None"),
        ({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]}, "multimodal Gemma 3"),
        ({"quantization_config": {"quant_method": "gptq"}}, "is quantised"),
        ({"dtype": "float99"}, "numbers of type float99"),
    ],
)
def test_another_architecture_is_refused_by_name(changes, told, conversations, tmp_path, capsys):
    said = refused(capsys, conversations, base(tmp_path / "base", **changes))
    assert told in said
    assert "  fix: " in said


def test_a_multimodal_model_is_told_how_to_get_its_text_part_and_that_is_trained(conversations, tmp_path, capsys):
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = json.loads((greenhouse.DEFAULT / "config.json").read_text())
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 28,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=4)
    torch.manual_seed(0)
    whole = Gemma3ForConditionalGeneration(config).to(torch.bfloat16)
    folder = tmp_path / "whole"
    whole.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(greenhouse.DEFAULT / name, folder / name)
    said = refused(capsys, conversations, folder)
    assert f"export --model {folder} --to text --out DIR" in said
    greenhouse.run("callspan.finetune.export", "--model", folder, "--to", "text", "--out", tmp_path / "text")
    part = models.load(tmp_path / "text", "float32").eval()
    ids = torch.tensor([[2, 300, 301, 302]])
    with torch.no_grad():
        whole = Gemma3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        wanted = whole(input_ids=ids).logits
        models.scale_as_kept(part, "float32")
    assert (part(ids).logits - wanted).abs().max() < 1e-4
    asked = greenhouse.lora(tmp_path / "text", conversations, tmp_path / "out", 1)
    assert greenhouse.train(*asked)[0]["steps"] == 1


def test_what_is_no_checkpoint_is_told_what_it_is(conversations, tuned, tmp_path, capsys):
    assert "does not exist" in refused(capsys, conversations, tmp_path / "nothing")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert "GGUF is not trained" in refused(capsys, conversations, tmp_path / "model.gguf")
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in refused(capsys, conversations, tmp_path / "empty")
    copied = shutil.copytree(tuned.out, tmp_path / "adapter")
    assert "is an adapter" in refused(capsys, conversations, copied)


def test_a_checkpoint_without_some_of_its_weights_is_refused(conversations, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = base(tmp_path / "base")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.3.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(errors.FinetuneError, match=r"lacks weights.*layers\.3\.mlp\.up_proj"):
        models.load(folder, "float32")


def test_a_missing_package_is_told_with_the_command_that_brings_it(conversations, tmp_path, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(errors.importlib.util, "find_spec", lambda name: None if name == "trl" else real(name))
    said = refused(capsys, conversations, greenhouse.DEFAULT, tmp_path / "out")
    assert "error: trl is missing\n  fix: in the checkout: pip install -e './python-executor[finetune]'" in said


@pytest.mark.parametrize(
    ("name", "holds", "told"),
    [
        ("config.json", "[1]", "config.json holds no JSON object"),
        ("config.json", "{", "config.json is no JSON"),
        ("tokenizer.json", '{"a": 1', "the tokenizer of"),
        ("model.safetensors", "cut", "transformers cannot load"),
    ],
)
def test_a_damaged_file_of_a_checkpoint_is_told(name, holds, told, conversations, tmp_path, capsys):
    folder = base(tmp_path / "base")
    (folder / name).write_text(holds)
    asked = greenhouse.lora(folder, conversations, tmp_path / "out", 1)
    assert program.main(asked) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--epochs", "nan"), ("--epochs", "0"), ("--learning-rate", "0"), ("--alpha", "inf"), ("--seed", "-1")],
)
def test_a_number_that_cannot_be_meant_is_refused(flag, value, conversations, tmp_path, capsys):
    asked = greenhouse.lora(greenhouse.DEFAULT, conversations, tmp_path / "out", 1)
    assert program.main([*asked, flag, value]) == 2
    assert "  fix: " in capsys.readouterr().err


def test_several_devices_are_not_one_process_s(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(errors.FinetuneError, match="4 CUDA devices") as found:
        models.refuse_several()
    assert "--nproc-per-node 4" in found.value.cure
    monkeypatch.setenv("WORLD_SIZE", "4")
    models.refuse_several()


def test_what_happens_to_one_process_is_told_by_it(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert errors.tell(errors.FinetuneError("asked wrongly")) == 2
    assert capsys.readouterr().err == ""
    assert errors.tell(errors.FinetuneError("too little memory", status=1)) == 1
    assert capsys.readouterr().err == "process 3: error: too little memory\n"


@pytest.fixture
def broken(tmp_path):
    """Good lines, and one of each kind that is not."""
    good = greenhouse.conversation(1)
    lines = [
        json.dumps(good),
        "{",
        json.dumps(good | {"messages": good["messages"][:1]}),
        json.dumps(good | {"tools": []}),
        json.dumps(good | {"messages": [{"role": "user", "content": "a <escape> b"}, good["messages"][1]]}),
        json.dumps(greenhouse.conversation(2)),
    ]
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lines_that_break_the_format_stop_it_with_their_numbers(broken, tmp_path, capsys):
    said = refused(capsys, broken, greenhouse.DEFAULT, tmp_path / "out")
    for line, why in ((2, "Expecting"), (3, "not the assistant's"), (4, "not among the tools"), (5, "<escape>")):
        assert f"broken.jsonl:{line}: " in said
        assert why in said
    assert "--keep-going" in said


def test_kept_going_they_are_left_out_and_still_told(broken, capsys):
    found = examples.read([broken], models.tokenizer(greenhouse.DEFAULT), 1024, keep_going=True)
    assert len(found.rows) == 2
    said = capsys.readouterr().err
    assert all(f"left out: broken.jsonl:{line}: " in said for line in (2, 3, 4, 5))
    assert "left out 4 lines that break the format" in said


def test_data_without_a_good_line_is_told_line_by_line(tmp_path, capsys):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{\n"caf\xe9"\n')
    asked = ["--base", str(greenhouse.DEFAULT), "--data"]
    assert check.main([*asked, str(path)]) == 2
    said = capsys.readouterr().err
    assert "left out: train.jsonl:1: Expecting" in said
    assert "left out: train.jsonl:2: 'utf-8' codec" in said
    assert "no example is left" in said
    path.write_text("")
    assert check.main([*asked, str(path)]) == 2
    assert "train.jsonl: no example was found" in capsys.readouterr().err
    assert check.main([*asked, str(tmp_path / "nothing")]) == 1
    assert "nothing'\n  fix: see that it is there" in capsys.readouterr().err


def test_data_can_be_looked_at_before_anything_is_trained(broken, conversations, capsys):
    base = ["--base", str(greenhouse.DEFAULT), "--data"]
    assert check.main([*base, str(conversations)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["examples"], found["wrong_lines"], found["too_long"], found["tokens_without"]) == (32, 0, 0, [])
    assert found["longest"] >= found["median"] > 50
    assert check.main([*base, str(broken), "--max-length", "300"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["wrong_lines"] == 4
    assert "left out: broken.jsonl:3: " in said.err


def test_an_example_that_is_too_long_is_told_and_left_out_never_cut(tmp_path, capsys):
    long = greenhouse.conversation(1)
    long["messages"][0]["content"] = "please " * 400 + long["messages"][0]["content"]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (greenhouse.conversation(0), long)))
    tokenizer = models.tokenizer(greenhouse.DEFAULT)
    found = examples.read([path], tokenizer, 300, keep_going=False)
    assert len(found.rows) == 1
    assert "left out: long.jsonl: example 2: " in capsys.readouterr().err
    with pytest.raises(errors.FinetuneError, match="no example is left"):
        examples.read([path], tokenizer, 20, keep_going=False)


def test_only_tokens_that_the_tokenizer_has_are_used(tmp_path, capsys):
    folder = base(tmp_path / "base")
    path = folder / "tokenizer.json"
    rows = bases.config(folder)["vocab_size"]
    found = json.loads(path.read_text())
    for token in found["added_tokens"]:
        if token["content"] == "<escape>":
            found["added_tokens"].remove(token)
    found["model"]["vocab"]["<unused>"] = found["model"]["vocab"].pop("<escape>")
    path.write_text(json.dumps(found))
    tokenizer = models.tokenizer(folder)
    assert examples.check_tokens(tokenizer, rows) == ["<escape>"]
    assert "has no <escape>: written as ordinary text" in capsys.readouterr().err
    row = examples.tokens(tokenizer, *greenhouse.pairs(1)[0])
    assert max(row["input_ids"]) < rows
    assert tokenizer.decode(row["input_ids"]) == "".join(greenhouse.pairs(1)[0])


def test_a_token_beyond_the_embeddings_is_not_used(tmp_path):
    tokenizer = models.tokenizer(greenhouse.DEFAULT)
    with pytest.raises(errors.FinetuneError, match="<start_of_turn>"):
        examples.check_tokens(tokenizer, 5)
    ends = tokenizer.convert_tokens_to_ids(["<end_of_turn>", "<start_function_response>"])
    assert bases.ends(tokenizer, 1) == [1, *ends]
