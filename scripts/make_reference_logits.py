#!/usr/bin/env python3
"""Makes the data of rust-inference/tests/parity.rs and serve_read.rs: tiny random checkpoints, transformers' logits for
them, and what it gives of texts that it only reads.

Needs torch and transformers (versions are written into the data). Run once:
    python scripts/make_reference_logits.py rust-inference/testdata models/default
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoTokenizer, Gemma3ForCausalLM, Gemma3TextConfig

LENGTH = 64


def load(folder, dtype):
    """A checkpoint in f32, but with the embedding scale rounded to the type that it is run in."""
    model = Gemma3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    scale = torch.tensor(model.config.hidden_size**0.5)
    model.model.embed_tokens.embed_scale = scale.to(dtype).float()
    return model


def read(model, tokens):
    """The logits, the mean of the last hidden states, and the log probability of each token but the first."""
    ids = torch.tensor([tokens])
    with torch.no_grad():
        hidden = model.model(ids).last_hidden_state[0]
        logits = model(ids).logits[0]
    logprobs = torch.log_softmax(logits[:-1], dim=-1).gather(1, ids[0, 1:, None])[:, 0]
    return logits, hidden.mean(dim=0), logprobs


def random_checkpoint(out, name, seed, dtype, old_keys, length=LENGTH, **shape):
    """A checkpoint with random weights, crossing its sliding window, and its logits."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 96, "hidden_size": 48, "intermediate_size": 80, "sliding_window": 16}
    config = Gemma3TextConfig(max_position_embeddings=256, attn_implementation="eager", **(sizes | shape))
    model = Gemma3ForCausalLM(config).to(dtype)
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.copy_(torch.randn(value.shape) * (0.3 if "norm" in key else 0.15))
    folder = out / name
    model.save_pretrained(folder)
    tokens = torch.randint(0, config.vocab_size, (length,)).tolist()
    logits, mean, logprobs = read(load(folder, dtype), tokens)
    path = folder / "config.json"
    written = json.loads(path.read_text())
    if old_keys:  # as transformers 4 wrote them
        ropes = written.pop("rope_parameters")
        written["rope_theta"] = ropes["full_attention"]["rope_theta"]
        written["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
        written["_sliding_window_pattern"] = shape["sliding_window_pattern"]
        if factor := ropes["full_attention"].get("factor"):
            written["rope_scaling"] = {"rope_type": "linear", "factor": factor}
        written.pop("sliding_window_pattern", None)
        written.pop("layer_types")
    path.write_text(json.dumps(written, indent=1) + "\n")
    # Any tokenizer will do: the logits are of ids.
    vocabulary = {f"t{i}": i for i in range(config.vocab_size)}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n")
    reference = {"logits": logits.contiguous(), "mean": mean, "logprobs": logprobs}
    reference["tokens"] = torch.tensor(tokens, dtype=torch.int32)
    save_file(reference, out / f"{name}.reference")
    print(name, "logits", tuple(logits.shape), "max", logits.abs().max().item())


def texts(out, default):
    """Vectors of texts, and how probable texts are behind a prompt, by the default model."""
    tokenizer = AutoTokenizer.from_pretrained(default)
    model = load(default, torch.bfloat16)

    def ids(text):
        return tokenizer(text, add_special_tokens=False).input_ids

    with (out / "texts.jsonl").open("w") as file:
        for text in ["What's the weather in Paris?", "Łódź 🦀", "word " * 300]:
            tokens = ids("<bos>" + text)
            mean = read(model, tokens)[1]
            unit = mean / mean.norm()
            line = {"text": text, "tokens": len(tokens), "mean": mean.tolist(), "unit": unit.tolist()}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        turn = "<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n"
        for prompt, completion in [
            (turn, "Hello! How can I help you?<end_of_turn>"),
            (turn, "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>"),
            ("<bos>", "The sky is blue. " * 40),
        ]:
            tokens = ids(completion)
            logprobs = read(model, ids(prompt) + tokens)[2][-len(tokens) :].tolist()
            line = {"prompt": prompt, "completion": completion, "ids": tokens, "logprobs": logprobs}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def greedy(out, default):
    """What transformers writes after the default model's prompts."""
    tokenizer = AutoTokenizer.from_pretrained(default)
    template = (default / "chat_template.jinja").read_text()
    model = load(default, torch.bfloat16)
    tools = [
        {
            "name": "convert_units",
            "description": "Convert a value from one unit to another",
            "parameters": {
                "type": "object",
                "properties": {
                    "value": {"type": "number", "description": "Value"},
                    "from_unit": {"type": "string", "description": "Unit to convert from"},
                    "to_unit": {"type": "string", "description": "Unit to convert to"},
                },
                "required": ["value", "from_unit", "to_unit"],
            },
        },
        {
            "name": "get_weather",
            "description": "Get the current weather for a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "City"}},
                "required": ["city"],
            },
        },
    ]
    with (out / "greedy.jsonl").open("w") as file:
        for question in ["What's the weather in Paris?", "12 km to miles", "Hello", "Weather in Oslo and Lima"]:
            prompt = tokenizer.apply_chat_template(
                [{"role": "user", "content": question}],
                tools=tools,
                chat_template=template,
                add_generation_prompt=True,
                tokenize=False,
            )
            ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
            with torch.no_grad():
                whole = model.generate(ids, do_sample=False, max_new_tokens=48)[0].tolist()
            line = {"prompt": prompt, "prompt_ids": ids[0].tolist(), "answer_ids": whole[ids.shape[1] :]}
            file.write(json.dumps(line) + "\n")
            print(question, "->", tokenizer.decode(line["answer_ids"]))


def ropes(factor):
    """Of the full layers, whose positions are divided by the factor, and of the sliding ones."""
    return {
        "full_attention": {"rope_theta": 1e6, "rope_type": "linear", "factor": factor},
        "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
    }


def more_checkpoints(out):
    """What else a checkpoint of this architecture may be: each is small, and crosses its window many times."""
    alternating = ["sliding_attention", "sliding_attention", "full_attention"]
    small = {"vocab_size": 64, "num_hidden_layers": 3, "layer_types": alternating}
    # Positions are divided by 8, as in the larger models of the family; heads are wider than their share.
    random_checkpoint(
        out, "scaled-positions", 3, torch.bfloat16, True, length=160, rope_parameters=ropes(8.0), sliding_window=24,
        sliding_window_pattern=3,
        hidden_size=40, num_attention_heads=2, num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, **small,
    )  # fmt: skip
    # Twenty-five windows, one head of keys for each of the queries.
    random_checkpoint(
        out, "long-context", 4, torch.bfloat16, False, length=200, sliding_window=8,
        hidden_size=32, num_attention_heads=4, num_key_value_heads=4, head_dim=16, query_pre_attn_scalar=8, **small,
    )  # fmt: skip
    # f16, four heads of keys for eight of queries, and logits that are capped.
    random_checkpoint(
        out, "half-precision", 5, torch.float16, False, final_logit_softcapping=3.0,
        num_attention_heads=8, num_key_value_heads=4, head_dim=12, query_pre_attn_scalar=12, **small,
    )  # fmt: skip
    # A head of its own, and sizes that are no multiple of anything that a kernel would like.
    random_checkpoint(
        out, "own-head", 6, torch.float32, False, length=90, sliding_window=11, tie_word_embeddings=False,
        hidden_size=39, intermediate_size=53, num_attention_heads=3, num_key_value_heads=1, head_dim=18,
        query_pre_attn_scalar=18, **(small | {"vocab_size": 67}),
    )  # fmt: skip


def main():
    """Writes everything into the directory given first; the default model is the second argument."""
    out, default = Path(sys.argv[1]), Path(sys.argv[2])
    print("torch", torch.__version__, "transformers", transformers.__version__)
    one = {"num_hidden_layers": 4, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16}
    several = {"num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    random_checkpoint(
        out, "one-kv-head", 1, torch.bfloat16, True, sliding_window_pattern=2, query_pre_attn_scalar=16, **one
    )
    kinds = [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "sliding_attention",
        "full_attention",
        "sliding_attention",
    ]
    random_checkpoint(
        out, "several-kv-heads", 2, torch.float32, False, layer_types=kinds, query_pre_attn_scalar=24, **several
    )
    texts(out, default)
    more_checkpoints(out)
    greedy(out, default)


if __name__ == "__main__":
    main()
