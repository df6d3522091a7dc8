"""The random model as a GGUF, the format of llama.cpp, with the same weights and vocabulary as the safetensors.

bf16 needs Python only; types that the weights must be converted to need numpy.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from random_vocabulary import BOS, FIRST_BYTE, Vocabulary, is_control, scores

ALIGNMENT = 32
BLOCK = 32
# Types of metadata, by their number.
U32, I32, F32, BOOL, TEXT, LIST = 4, 5, 6, 7, 8, 9
# Types of tokens.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def name(theirs: str) -> str:
    """What llama.cpp calls a tensor of the safetensors."""
    if theirs == "model.embed_tokens.weight":
        return "token_embd.weight"
    if theirs == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = theirs.split(".", 3)
    return f"blk.{layer}.{PARTS[part.removesuffix('.weight')]}.weight"


def shifted_to_f32(raw: bytes) -> bytes:
    """A norm: llama.cpp multiplies by what is in the file, Gemma by one more."""
    values = (struct.unpack("<f", b"\0\0" + raw[i : i + 2])[0] + 1 for i in range(0, len(raw), 2))
    return b"".join(struct.pack("<f", value) for value in values)


def to_f16(raw: bytes) -> bytes:
    return widened(raw).astype("<f2").tobytes()


def to_q8_0(raw: bytes) -> bytes:
    """Blocks of 32: an f16 scale, 32 signed bytes."""
    import numpy as np

    blocks = widened(raw).reshape(-1, BLOCK)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    whole = np.round(blocks * inverse).astype(np.int8)
    return np.concatenate([scale.astype("<f2").view(np.uint8), whole.view(np.uint8)], axis=1).tobytes()


def to_q4_0(raw: bytes) -> bytes:
    """Blocks of 32: an f16 scale, 16 bytes with the first 16 values below and the others above."""
    import numpy as np

    blocks = widened(raw).reshape(-1, BLOCK)
    farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1)
    scale = farthest / -8
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    whole = np.clip(blocks * inverse + 8.5, 0, 15).astype(np.uint8)
    packed = whole[:, :16] | whole[:, 16:] << 4
    return np.concatenate([scale.astype("<f2").view(np.uint8), packed], axis=1).tobytes()


def widened(raw: bytes):
    """bf16 to f32."""
    import numpy as np

    return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)


# Of each kind: the type's number, the file type's, how bf16 becomes it, its bytes for 32 values.
KINDS: dict[str, tuple[int, int, Callable[[bytes], bytes], int]] = {
    "bf16": (30, 32, bytes, 64),
    "f16": (1, 1, to_f16, 64),
    "q8_0": (8, 7, to_q8_0, 34),
    "q4_0": (2, 2, to_q4_0, 18),
}


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def numbers(kind: int, form: str, values: list[float]) -> bytes:
    return struct.pack(f"<IQ{len(values)}{form}", kind, len(values), *values)


def token_type(place: int) -> int:
    if place == 3:
        return UNKNOWN
    if place >= FIRST_BYTE:
        return BYTE if place < FIRST_BYTE + 256 else NORMAL
    return CONTROL if is_control(place) else USER_DEFINED


def metadata(config: dict, file_type: int, words: Vocabulary) -> Iterator[bytes]:
    def u32(key: str, value: int) -> bytes:
        return entry(key, U32, struct.pack("<I", value))

    def f32(key: str, value: float) -> bytes:
        return entry(key, F32, struct.pack("<f", value))

    yield entry("general.architecture", TEXT, text("gemma3"))
    yield entry("general.name", TEXT, text("random"))
    yield u32("general.file_type", file_type)
    yield u32("general.quantization_version", 2)
    for key, of_config in (
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("block_count", "num_hidden_layers"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
        ("attention.sliding_window", "sliding_window"),
    ):
        yield u32(f"gemma3.{key}", config[of_config])
    full = [kind == "full_attention" for kind in config["layer_types"]]
    if any(whole != ((place + 1) % 6 == 0) for place, whole in enumerate(full)):
        sliding = bytes(not whole for whole in full)
        yield entry("gemma3.attention.sliding_window_pattern", LIST, struct.pack("<IQ", BOOL, len(full)) + sliding)
    yield f32("gemma3.attention.layer_norm_rms_epsilon", config["rms_norm_eps"])
    yield f32("gemma3.rope.freq_base", config["rope_theta"])
    yield entry("tokenizer.ggml.model", TEXT, text("llama"))
    yield entry("tokenizer.ggml.pre", TEXT, text("default"))
    tokens = b"".join(map(text, words.ids))
    yield entry("tokenizer.ggml.tokens", LIST, struct.pack("<IQ", TEXT, len(words.ids)) + tokens)
    yield entry("tokenizer.ggml.scores", LIST, numbers(F32, "f", scores(words.ids)))
    yield entry("tokenizer.ggml.token_type", LIST, numbers(I32, "i", [token_type(i) for i in words.ids.values()]))
    for key, place in (("bos", BOS), ("eos", 1), ("eot", 106), ("unknown", 3), ("padding", 0)):
        yield u32(f"tokenizer.ggml.{key}_token_id", place)
    for key, value in (("add_bos_token", True), ("add_eos_token", False), ("add_space_prefix", False)):
        yield entry(f"tokenizer.ggml.{key}", BOOL, bytes([value]))


def write(folder: Path, kind: str, words: Vocabulary) -> None:
    """model-KIND.gguf of the config.json and model.safetensors that are in the folder already."""
    number, file_type, convert, block_size = KINDS[kind]
    config = json.loads((folder / "config.json").read_text("utf-8"))
    entries = list(metadata(config, file_type, words))
    with (folder / "model.safetensors").open("rb") as source, (folder / f"model-{kind}.gguf").open("wb") as out:
        size = int.from_bytes(source.read(8), "little")
        header = json.loads(source.read(size))
        header.pop("__metadata__", None)
        infos, offset = b"", 0
        for theirs, info in header.items():
            shape = info["shape"]
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            own, length = (0, 4 * count) if len(shape) == 1 else (number, count // BLOCK * block_size)
            dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
            infos += text(name(theirs)) + dimensions + struct.pack("<IQ", own, offset)
            offset += length + -length % ALIGNMENT
        head = b"GGUF" + struct.pack("<IQQ", 3, len(header), len(entries)) + b"".join(entries) + infos
        out.write(head + bytes(-len(head) % ALIGNMENT))
        for info in header.values():
            start, end = info["data_offsets"]
            source.seek(8 + size + start)
            one = len(info["shape"]) == 1
            # By a few megabytes, which are whole blocks of a matrix.
            for place in range(start, end, 1 << 24):
                raw = source.read(min(1 << 24, end - place))
                out.write(shifted_to_f32(raw) if one else convert(raw))
            out.write(bytes(-out.tell() % ALIGNMENT))
