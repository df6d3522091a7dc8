#!/usr/bin/env python3
"""Makes a model of random weights in the exact shape of Gemma 3 270M, which is FunctionGemma's: speed does not depend
on what the weights are, so that what is measured with this holds for a checkpoint that may not be passed on.

Needs Python only, and numpy for a GGUF of other than bf16. The same seed gives the same files.
usage: bench/make_random_model.py OUTDIR [--tiny] [--seed N] [--gguf bf16,f16,q8_0,q4_0]
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import random_gguf
from random_vocabulary import SIZE, tokenizer, vocabulary

EOS = [1, 50, 106]
FULL = {
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": 18,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 512,
}
# For tests: the whole vocabulary, as little of the rest as there can be, and a window that is soon crossed.
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "sliding_window": 128,
}


def config(shape: dict[str, int]) -> dict[str, object]:
    layers = shape["num_hidden_layers"]
    # Every sixth layer sees everything; so does the last, that a small model has one of each.
    full = [(layer + 1) % 6 == 0 or layer + 1 == layers for layer in range(layers)]
    return shape | {
        "architectures": ["Gemma3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "final_logit_softcapping": None,
        "hidden_activation": "gelu_pytorch_tanh",
        "initializer_range": 0.02,
        "layer_types": ["full_attention" if whole else "sliding_attention" for whole in full],
        "max_position_embeddings": 32768,
        "model_type": "gemma3_text",
        "pad_token_id": 0,
        "rms_norm_eps": 1e-06,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "torch_dtype": "bfloat16",
        "use_bidirectional_attention": False,
        "use_cache": True,
        "vocab_size": SIZE,
    }


def tensors(shape: dict[str, int]) -> Iterator[tuple[str, list[int], float]]:
    """Name, shape and standard deviation of each tensor: what keeps activations near 1 from layer to layer."""
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    head = shape["head_dim"]
    queries, keys = shape["num_attention_heads"] * head, shape["num_key_value_heads"] * head
    yield "model.embed_tokens.weight", [SIZE, hidden], hidden**-0.5
    for layer in range(shape["num_hidden_layers"]):
        place = f"model.layers.{layer}."
        for name, rows, columns in (
            ("self_attn.q_proj", queries, hidden),
            ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden),
            ("self_attn.o_proj", hidden, queries),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):
            yield f"{place}{name}.weight", [rows, columns], columns**-0.5
        for name, size in (
            ("input_layernorm", hidden),
            ("post_attention_layernorm", hidden),
            ("pre_feedforward_layernorm", hidden),
            ("post_feedforward_layernorm", hidden),
            ("self_attn.q_norm", head),
            ("self_attn.k_norm", head),
        ):
            yield f"{place}{name}.weight", [size], 0.1
    yield "model.norm.weight", [hidden], 0.1


def high_bytes(deviation: float) -> bytes:
    """What each value of a random byte becomes as the upper byte of a bf16: the sign and all but the last bit of the
    exponent. The rest of a bf16 may be any bits, so that two neighbouring values mixed give the deviation."""

    def variance(upper: int) -> float:
        # The mean of ((1 + m) 2^b)² over m in [0, 1) and b in {0, 1} is 7/3 · 5/2.
        return 4.0 ** (2 * upper - 127) * 7 / 3 * 5 / 2

    wanted = deviation**2
    upper = next(upper for upper in range(128) if variance(upper) >= wanted)
    share = (wanted - variance(upper - 1)) / (variance(upper) - variance(upper - 1))
    above = round(128 * share)
    one_sign = bytes([upper] * above + [upper - 1] * (128 - above))
    return one_sign + bytes(byte | 0x80 for byte in one_sign)


def weights(source: random.Random, count: int, deviation: float) -> bytes:
    """Random bf16, little-endian."""
    made = bytearray(2 * count)
    made[0::2] = source.randbytes(count)
    made[1::2] = source.randbytes(count).translate(high_bytes(deviation))
    return bytes(made)


def write_weights(path: Path, shape: dict[str, int], seed: int) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, dimensions, _ in tensors(shape):
        size = 2 * dimensions[0] * (dimensions[1] if len(dimensions) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": dimensions, "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    source = random.Random(seed)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for _, dimensions, deviation in tensors(shape):
            # By rows: the random generator is slow with hundreds of megabytes at once.
            rows, columns = dimensions if len(dimensions) > 1 else (1, dimensions[0])
            step = max(1, (1 << 20) // columns)
            for start in range(0, rows, step):
                file.write(weights(source, min(step, rows - start) * columns, deviation))


def make(folder: Path, *, tiny: bool = False, seed: int = 0, gguf: Sequence[str] = ()) -> None:
    shape = TINY if tiny else FULL
    generation = {
        "bos_token_id": 2,
        "do_sample": True,
        "eos_token_id": EOS,
        "pad_token_id": 0,
        "top_k": 64,
        "top_p": 0.95,
    }
    words = vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in (
        ("config.json", config(shape)),
        ("generation_config.json", generation),
        ("tokenizer.json", tokenizer(words)),
    ):
        (folder / name).write_text(json.dumps(contents, ensure_ascii=False, indent=None), "utf-8")
    write_weights(folder / "model.safetensors", shape, seed)
    for kind in gguf:
        random_gguf.write(folder, kind, words)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a model of random weights in the shape of Gemma 3 270M.")
    parser.add_argument("folder", metavar="OUTDIR", type=Path)
    parser.add_argument("--tiny", action="store_true", help="all the vocabulary, two layers of 64: 34 MB")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--gguf",
        type=lambda kinds: kinds.split(","),
        default=[],
        metavar="KINDS",
        help="make model-KIND.gguf, too: any of bf16,f16,q8_0,q4_0",
    )
    asked = parser.parse_args()
    make(asked.folder, tiny=asked.tiny, seed=asked.seed, gguf=asked.gguf)


if __name__ == "__main__":
    main()
