"""A trained model under Hugging Face's names: bf16 safetensors and config.json, for transformers and for Callspan."""

import json

import torch
from safetensors.torch import save
from torch import Tensor

from callspan.finetune.scratch.flat import Flat
from callspan.finetune.scratch.model import EPSILON, EVERY, GLOBAL_THETA, LOCAL_THETA, Model, Shape
from callspan.finetune.scratch.tokenizer import STOP

LONGEST = 4096
"""max_position_embeddings: what a session may hold; rows of training are shorter, which the model card says."""

_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def names(model: Model, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our weights by Hugging Face's names, fused projections cut apart."""
    shape = model.shape
    kv = shape.kv_heads * shape.head
    out = {"model.embed_tokens.weight": weights["embedding"], "model.norm.weight": weights["norm.weight"]}
    for layer in range(shape.layers):
        ours, theirs = f"blocks.{layer}.", f"model.layers.{layer}."
        qkv = weights[ours + "attention.qkv.weight"].split([shape.heads * shape.head, kv, kv])
        parts = {f"self_attn.{name}_proj": part for name, part in zip("qkv", qkv, strict=True)}
        gate, up = weights[ours + "gate_up.weight"].chunk(2)
        parts |= {"mlp.gate_proj": gate, "mlp.up_proj": up, "mlp.down_proj": weights[ours + "down.weight"]}
        parts["self_attn.o_proj"] = weights[ours + "attention.o.weight"]
        parts |= {f"self_attn.{x}_norm": weights[ours + f"attention.{x}_norm.weight"] for x in "qk"}
        parts |= {name: weights[ours + f"norms.{place}.weight"] for place, name in enumerate(_NORMS)}
        out |= {f"{theirs}{name}.weight": part for name, part in parts.items()}
    return out


def config(shape: Shape) -> dict[str, object]:
    """config.json: rope in transformers 5's words and in the older ones, as loaders of both are about."""
    kinds = ["full_attention" if shape.is_global(layer) else "sliding_attention" for layer in range(shape.layers)]
    thetas = (("full_attention", GLOBAL_THETA), ("sliding_attention", LOCAL_THETA))
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "attn_logit_softcapping": None,
        "bos_token_id": 2,
        "dtype": "bfloat16",
        "eos_token_id": list(STOP),
        "final_logit_softcapping": None,
        "head_dim": shape.head,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": shape.hidden,
        "initializer_range": 0.02,
        "intermediate_size": shape.mlp,
        "layer_types": kinds,
        "max_position_embeddings": LONGEST,
        "model_type": "gemma3_text",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "pad_token_id": 0,
        "query_pre_attn_scalar": shape.head,
        "rms_norm_eps": EPSILON,
        "rope_local_base_freq": LOCAL_THETA,
        "rope_parameters": {kind: {"rope_theta": theta, "rope_type": "default"} for kind, theta in thetas},
        "rope_scaling": None,
        "rope_theta": GLOBAL_THETA,
        "sliding_window": shape.window,
        "sliding_window_pattern": EVERY,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_bidirectional_attention": False,
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


def files(model: Model, flat: Flat, vector: Tensor) -> dict[str, bytes]:
    """What makes a checkpoint, by file name: vector is flat.master or flat.mean."""
    weights = {
        name: vector[flat.places[name] :][: weight.numel()].view(weight.shape)
        for name, weight in model.named_parameters()
    }
    half = {name: part.to("cpu", torch.bfloat16).contiguous() for name, part in names(model, weights).items()}
    text = json.dumps(config(model.shape), indent=2) + "\n"
    return {"model.safetensors": save(half, metadata={"format": "pt"}), "config.json": text.encode()}
