"""The same numbers wherever a model is: adapter, merged, in a GGUF, in transformers and in our engine."""

import json
from types import SimpleNamespace

import greenhouse
import pytest
import torch

from callspan.finetune import engine, errors, export, gguf_file, models, parity
from callspan.finetune.data import wire

# Logarithms of probabilities of the same weights, both computed in f32.
NEAR = 1e-4


@pytest.fixture(scope="module")
def adapted(tuned):
    from peft import PeftModel

    return PeftModel.from_pretrained(models.load(greenhouse.DEFAULT, "float32"), tuned.out).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return models.tokenizer(greenhouse.DEFAULT)


def merge(tuned, out, *more):
    greenhouse.run("callspan.finetune.export", "--model", tuned.out, "--to", "safetensors", "--out", out, *more)
    return out


def assert_scores(server, model, tokenizer, pairs):
    for prompt, completion in pairs:
        ids, wanted = greenhouse.logprobs(model, tokenizer, prompt, completion)
        found = server.score(prompt, completion)
        assert [token for token, _ in found] == ids
        assert [logprob for _, logprob in found] == pytest.approx(wanted, abs=NEAR)


def test_merged_weights_give_the_adapter_s_logits(tuned, adapted, tokenizer, tmp_path):
    whole = models.load(merge(tuned, tmp_path / "f32", "--type", "f32"), "float32").eval()
    # The type of a checkpoint rounds its embeddings' factor.
    models.scale_as_kept(whole, "bfloat16")
    for prompt, completion in greenhouse.pairs():
        ids = torch.tensor([tokenizer(prompt + completion, add_special_tokens=False).input_ids])
        with torch.no_grad():
            assert (whole(ids).logits - adapted(ids).logits).abs().max() < NEAR


def test_our_engine_gives_the_merged_model_transformers_numbers(tuned, tokenizer, tmp_path):
    out = merge(tuned, tmp_path / "merged")
    with engine.Server(out) as server:
        assert_scores(server, models.load(out, "float32").eval(), tokenizer, greenhouse.pairs())


def test_our_engine_gives_an_adapter_that_it_merges_transformers_numbers(tuned, adapted, tokenizer):
    with engine.Server(greenhouse.DEFAULT, "--lora", tuned.out) as server:
        assert_scores(server, adapted, tokenizer, greenhouse.pairs())


def test_our_engine_gives_an_adapter_that_a_request_names_transformers_numbers(tuned, adapted, tokenizer):
    with engine.Server(greenhouse.DEFAULT, "--adapter", f"garden={tuned.out}") as server:
        base = models.load(greenhouse.DEFAULT, "float32").eval()
        for name, model in (("garden", adapted), ("", base)):
            for prompt, _ in greenhouse.pairs():
                asked = {"prompt": prompt, "max_tokens": 12, "logprobs": 0} | ({"adapter": name} if name else {})
                found = server.ask("generate", asked)["done"]["logprobs"]
                written = "".join(token["token"] for token in found)
                ids, wanted = greenhouse.logprobs(model, tokenizer, prompt, written)
                assert [token["id"] for token in found] == ids
                assert [token.get("logprob", 0.0) for token in found] == pytest.approx(wanted, abs=NEAR)


def test_what_was_learned_is_called(tuned):
    """Six tools' worth of sentences: the tuned model writes the calls that it was taught, from the chat itself."""
    with engine.Server(greenhouse.DEFAULT, "--lora", tuned.out) as server:
        example = greenhouse.conversation(1)
        asked = {"chat": {"messages": example["messages"][:1]}, "tools": [greenhouse.WATER, greenhouse.VENT]}
        asked["tools"] = [tool | {"parameters": json.dumps(tool["parameters"])} for tool in asked["tools"]]
        [made] = server.ask("generate", asked)["done"]["tool_calls"]
    wanted = example["messages"][1]["tool_calls"][0]["function"]
    assert (made["name"], json.loads(made["arguments"])) == (wanted["name"], wanted["arguments"])


@pytest.mark.parametrize("kind", ["bf16", "q8_0"])
def test_a_gguf_gives_transformers_numbers(kind, tuned_gemma, gemma, conversations, tmp_path):
    path = tmp_path / "model.gguf"
    asked = ["--model", tuned_gemma, "--to", "gguf", "--type", kind, "--out", path, "--data", conversations]
    _, talk = greenhouse.run("callspan.finetune.export", *asked)
    assert "the same tokens" in talk
    model, _ = export.merged(export.parse([str(one) for one in asked]))
    gguf_file.round_as(model, kind)
    with engine.Server(path) as server:
        assert_scores(server, model, models.tokenizer(gemma), greenhouse.pairs(3))


def test_a_gguf_says_what_llama_cpp_asks_for(tuned_gemma, tmp_path):
    from gguf import GGUFReader

    path = tmp_path / "model.gguf"
    greenhouse.run("callspan.finetune.export", "--model", tuned_gemma, "--to", "gguf", "--out", path)
    found = GGUFReader(path)
    value = {key: field.contents() for key, field in found.fields.items() if "tokenizer.ggml" not in key}
    assert value["general.architecture"] == "gemma3"
    assert value["gemma3.attention.sliding_window_pattern"] == [True, False]
    assert {"gemma3.block_count": 2, "gemma3.attention.key_length": 32}.items() <= value.items()
    ids = {key: field.contents() for key, field in found.fields.items() if key.endswith("token_id")}
    assert ids == {
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.eot_token_id": 106,
        "tokenizer.ggml.eom_token_id": 50,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 3,
    }
    assert "generation" not in value.get("tokenizer.chat_template", "generation").replace("add_generation_prompt", "")
    names = {tensor.name for tensor in found.tensors}
    assert {"token_embd.weight", "output_norm.weight", "blk.1.post_ffw_norm.weight"} <= names
    assert "output.weight" not in names


def norms_without_their_one(monkeypatch):
    real = gguf_file.tensors

    def tensors(model, kind):
        for name, values, stored in real(model, kind):
            yield name, values - 1 if name.endswith("ffn_norm.weight") else values, stored

    monkeypatch.setattr(gguf_file, "tensors", tensors)


def two_tokens_change_places(monkeypatch):
    real = gguf_file.gguf_tokens.read

    def read(*given):
        pieces = real(*given)
        one, other = pieces.texts.index("e"), pieces.texts.index("o")
        pieces.texts[one], pieces.texts[other] = pieces.texts[other], pieces.texts[one]
        return pieces

    monkeypatch.setattr(gguf_file.gguf_tokens, "read", read)


@pytest.mark.parametrize("wrong", [norms_without_their_one, two_tokens_change_places])
def test_a_gguf_that_computes_something_else_is_removed(wrong, tuned_gemma, tmp_path, monkeypatch, capsys):
    wrong(monkeypatch)
    out = tmp_path / "model.gguf"
    assert export.main(["--model", str(tuned_gemma), "--to", "gguf", "--out", str(out)]) == 1
    assert "computes something else from the GGUF: it is removed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_a_gguf_cannot_tell_is_refused_by_name(tuned, tmp_path):
    asked = ["--model", tuned.out, "--to", "gguf", "--out", tmp_path / "model.gguf"]
    _, talk = greenhouse.run("callspan.finetune.export", *asked, status=1)
    assert "cuts text by a rule of its own (Split)" in talk
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_is_exported_as_it_is(tuned, tmp_path):
    greenhouse.run("callspan.finetune.export", "--model", tuned.out, "--to", "adapter", "--out", tmp_path / "copy")
    kept, copied = greenhouse.hashes(tuned.out), greenhouse.hashes(tmp_path / "copy")
    assert copied.items() <= kept.items()
    assert "adapter_model.safetensors" in copied


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--to", "gguf", "--out", "model"], "does not end in .gguf"),
        (["--to", "safetensors", "--out", "model", "--type", "q8_0"], "q8_0 is a type of GGUF"),
        (["--to", "adapter", "--out", "copy", "--type", "f32"], "--type is not for --to adapter"),
        (["--to", "safetensors", "--out", "model", "--data", "train.jsonl"], "--data is not for --to safetensors"),
    ],
)
def test_what_would_be_left_aside_is_refused(asked, told, capsys):
    assert export.main(["--model", str(greenhouse.DEFAULT), *asked]) == 2
    assert told in capsys.readouterr().err


def test_a_damaged_adapter_is_told(tmp_path, capsys):
    (tmp_path / "adapter_config.json").write_text("{")
    asked = ["--model", str(tmp_path), "--to", "safetensors", "--out", str(tmp_path / "model")]
    assert export.main(asked) == 2
    assert "has no adapter_model.safetensors" in capsys.readouterr().err
    (tmp_path / "adapter_model.safetensors").write_bytes(b"cut")
    assert export.main(asked) == 2
    assert "adapter_config.json is no JSON" in capsys.readouterr().err
    (tmp_path / "adapter_config.json").write_text("{}")
    assert export.main([*asked, "--base", str(greenhouse.DEFAULT)]) == 2
    assert "is no adapter of" in capsys.readouterr().err


@pytest.mark.parametrize("why", [OSError(28, "No space left on device"), OSError("9 requested and 0 written")])
def test_a_full_disk_is_told_by_an_export(why, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise why

    monkeypatch.setattr(export, "to_safetensors", full)
    monkeypatch.setattr(errors.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    asked = ["--model", str(greenhouse.DEFAULT), "--to", "safetensors", "--out", str(tmp_path / "model")]
    assert export.main(asked) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tuned, tmp_path):
    (tmp_path / "out").mkdir()
    asked = ["--model", tuned.out, "--to", "adapter", "--out", tmp_path / "out"]
    _, talk = greenhouse.run("callspan.finetune.export", *asked, status=2)
    assert "is there already" in talk


def test_the_conversations_of_the_comparison_are_real_prompts():
    given = parity.texts()
    assert len(given) >= 4
    assert all(text.startswith("<bos>") for text in given)
    assert any(wire.RESPONSE in text for text in given)
