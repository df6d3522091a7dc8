"""A model as a GGUF, with the names and metadata that llama.cpp's converter gives to Gemma 3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callspan.finetune import gguf_tokens, models, results
from callspan.finetune.errors import FinetuneError

TYPES = ("bf16", "f16", "f32", "q8_0")
# Every so many layers one sees everything, if nothing else is said; and what the others turn positions by.
PERIOD, LOCAL_BASE = 6, 10000.0
# The one Gemma 3 whose scores are scaled by its hidden size is known by its layers.
LAYERS_OF_27B = 62
GENERATION = ("{%- generation -%}\n", "{%- endgeneration -%}\n")


def kinds(kind: str) -> tuple[Any, Any]:
    """The type of the matrices, and of the file."""
    import gguf

    file = gguf.LlamaFileType.ALL_F32 if kind == "f32" else gguf.LlamaFileType[f"MOSTLY_{kind.upper()}"]
    return gguf.GGMLQuantizationType[kind.upper()], file


def tensors(model: Any, kind: str) -> Iterator[tuple[str, Any, Any]]:
    """Of each tensor llama.cpp's name, what is stored, and its type: vectors stay f32, norms have their one added."""
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, model.config.num_hidden_layers)
    matrix, _ = kinds(kind)
    tied = model.config.tie_word_embeddings
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and tied:
            continue
        name = names.get_name(key, try_suffixes=(".weight",))
        if name is None:
            raise FinetuneError(f"llama.cpp has no name for the tensor {key}", status=1)
        values = tensor.float().numpy()
        if key.endswith("norm.weight"):
            values = values + 1
        stored = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else row_type(values, matrix)
        yield name, gguf.quants.quantize(values, stored), stored


def row_type(values: Any, kind: Any) -> Any:
    """Rows that are no whole number of blocks are kept in f16, as the converter does."""
    import gguf

    block = gguf.GGML_QUANT_SIZES[kind][0]
    return kind if values.shape[-1] % block == 0 else gguf.GGMLQuantizationType.F16


def refuse_others(config: dict[str, Any]) -> None:
    """What llama.cpp computes otherwise, and a GGUF cannot say."""
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    expected = config["hidden_size"] / heads if layers == LAYERS_OF_27B else config["head_dim"]
    if config.get("query_pre_attn_scalar", expected) != expected:
        what = f"query_pre_attn_scalar is {config['query_pre_attn_scalar']}, and llama.cpp takes {expected}"
    elif config.get("attn_logit_softcapping"):
        what = "its attention is capped (attn_logit_softcapping)"
    elif config.get("attention_bias"):
        what = "its attention has biases"
    else:
        return
    raise FinetuneError(f"a GGUF of Gemma 3's cannot tell this model: {what}", "export it --to safetensors", status=1)


def metadata(writer: Any, config: dict[str, Any], name: str, kind: str) -> None:
    """What the model is, in the converter's words."""
    import gguf

    refuse_others(config)
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(kinds(kind)[1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_sliding_window(config["sliding_window"])
    full = [kind == "full_attention" for kind in config["layer_types"]]
    if any(whole != ((place + 1) % PERIOD == 0) for place, whole in enumerate(full)):
        writer.add_sliding_window_pattern([not whole for whole in full])
    rope = config["rope_parameters"]
    whole, local = rope["full_attention"], rope["sliding_attention"]
    writer.add_rope_freq_base(whole["rope_theta"])
    if local["rope_theta"] != LOCAL_BASE:
        writer.add_rope_freq_base_swa(local["rope_theta"])
    if whole.get("rope_type", "default") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(whole["factor"])
    elif whole.get("rope_type", "default") != "default":
        raise FinetuneError(f"a GGUF of Gemma 3's has no positions of type {whole['rope_type']}", status=1)
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])


def vocabulary(writer: Any, pieces: gguf_tokens.Pieces, template: str) -> None:
    """The tokenizer and the template; its marks of what is generated are for trainers."""
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces.texts)
    writer.add_token_scores(pieces.scores)
    writer.add_token_types(pieces.kinds)
    for what, place in pieces.special().items():
        getattr(writer, f"add_{what}_token_id")(place)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    for mark in GENERATION:
        template = template.replace(mark, "")
    writer.add_chat_template(template)


def write(path: Path, name: str, model: Any, folder: Path, kind: str) -> None:
    """The model, with the tokenizer of a folder, in a file that says its name."""
    import gguf

    config = model.config.to_dict()
    pieces = gguf_tokens.read(folder, model.get_input_embeddings().weight.shape[0])
    writer = gguf.GGUFWriter(path, "gemma3")
    metadata(writer, config, name, kind)
    vocabulary(writer, pieces, results.template())
    for tensor, values, stored in tensors(model, kind):
        writer.add_tensor(tensor, values, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def round_as(model: Any, kind: str) -> None:
    """Rounds a model's numbers to what the file holds, and its embeddings' factor to what our engine takes for it."""
    import gguf
    import torch

    matrix, _ = kinds(kind)
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.ndim > 1:
                values = tensor.float().numpy()
                stored = row_type(values, matrix)
                rounded = gguf.quants.dequantize(gguf.quants.quantize(values, stored), stored)
                tensor.copy_(torch.from_numpy(rounded.reshape(values.shape)))
    models.scale_as_kept(model, "float32" if kind == "f32" else "bfloat16")
