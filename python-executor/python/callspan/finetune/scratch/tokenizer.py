"""The tokenizer: byte-fallback BPE whose words look alike wherever they stand.

A space is a token of its own, so that a word has the same tokens in a sentence, in snake_case and between delimiters,
and can be copied; only function words take the space that follows them. Digits come in runs of one to three, and each
such run is a token. The fixed pieces of the wire format become single tokens. Case splits words.

Control tokens are added tokens only. Texts are cut at them before training, so no merge can make one: text that is
encoded without added tokens never holds one, whatever a user writes. Samples are rendered by the generator, which
owns their control tokens, and are encoded with them; `packing` refuses a completion with a stop token inside.
"""

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

CONTROL = [
    *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
    *("<start_function_declaration>", "<end_function_declaration>", "<start_function_call>", "<end_function_call>"),
    *("<start_function_response>", "<end_function_response>", "<escape>"),
]
"""Their places are their ids."""
SHOWN = {7, 8, 9, 10, 12, 13}
"""Control tokens that decoding prints even where special tokens are skipped, as FunctionGemma's tokenizer has it."""
STOP = (1, 6, 11)

TRIGGER = "You are a model that can do function calling with the following functions"
_PIECES = [
    "developer\n" + TRIGGER,
    *(r",parameters:\{properties:\{", r"\{description:", r",parameters:\{", r",items:\{type:", r"\},required:\["),
    *("declaration:", "response:", r",enum:\[", "model\n", ",type:", "user\n", "call:", "type:"),
]
_GLUED = "the a an to of for in on at with and is my me please you that this it as from by use which could can would"
PATTERN = "|".join(
    [
        *_PIECES,
        rf"\b(?:{_GLUED.replace(' ', '|')}) (?=[A-Za-z0-9\"'])",
        "[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]|[0-9]{1,3}|[\\s\\S]",
    ]
)
_AT_CONTROL = re.compile("|".join(map(re.escape, CONTROL)))


_NUMBERS = [f"{n:0{width}d}" for width in (2, 3) for n in range(10**width)]
_DIGITS = [(number[:cut], number[cut:]) for number in _NUMBERS for cut in range(1, len(number))]
"""Merges that make one token of each run, whichever two of its digits meet first."""


def train(texts: Iterable[str], size: int = 8192) -> Tokenizer:
    """Learn at most `size` tokens: control tokens, bytes, all 1-3 digit runs, the wire's pieces, words."""
    whole = [re.sub(r"\\([{}\[\]])", r"\1", piece) for piece in _PIECES] + [word + " " for word in _GLUED.split()]
    letters = sorted({c for text in whole for c in text} | {chr(c) for c in range(32, 127)} | {"\t", "\n"})
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=letters, limit_alphabet=len(letters), show_progress=False
    )
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = _split()
    words.train_from_iterator(_parts(texts), trainer)
    learnt = [tuple(merge) for merge in json.loads(words.to_str())["model"]["merges"]]
    first = [*CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    while True:
        merges = _complete(learnt + _DIGITS, whole, first)
        vocabulary = _places(first, merges)
        if len(vocabulary) <= size:
            return _assemble(vocabulary, merges)
        if not learnt:
            raise ValueError(f"{size} tokens are too few: what is no word takes {len(vocabulary)} of them")
        learnt = learnt[: size - len(vocabulary)]


def _complete(merges: list[tuple[str, str]], whole: list[str], first: list[str]) -> list[tuple[str, str]]:
    """Add merges that make one token of each fixed piece, last, so that they change no ordinary word."""
    for text in whole:
        found = Tokenizer(models.BPE(vocab=_places(first, merges), merges=merges)).encode(text).tokens
        made = list(itertools.accumulate(found))
        merges = merges + list(zip(made, found[1:], strict=False))
    return merges


def _places(first: list[str], merges: list[tuple[str, str]]) -> dict[str, int]:
    tokens = dict.fromkeys([*first, *(a + b for a, b in merges)])
    return {token: place for place, token in enumerate(tokens)}


def _split() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """Texts cut at control tokens, so that no merge can make one, and at digits, which are merged by rule."""
    for text in texts:
        for part in _AT_CONTROL.split(text):
            yield from filter(None, re.split(r"[0-9]+", part))


def _assemble(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    out = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=CONTROL[3], byte_fallback=True))
    out.pre_tokenizer = _split()
    out.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    out.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    out.add_special_tokens([AddedToken(t, normalized=False) for i, t in enumerate(CONTROL) if i not in SHOWN])
    out.add_tokens([AddedToken(t, normalized=False, special=False) for i, t in enumerate(CONTROL) if i in SHOWN])
    return out


def save(tokenizer: Tokenizer, folder: Path, template: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json, generation_config.json, and a copy of the chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "bos_token": "<bos>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<eos>",
        "model_max_length": 4096,
        "pad_token": "<pad>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    }
    generation = {
        "bos_token_id": 2,
        "do_sample": False,
        "eos_token_id": list(STOP),
        "max_new_tokens": 160,
        "pad_token_id": 0,
    }
    for name, content in (("tokenizer_config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(template, folder / "chat_template.jinja")


def encoder(tokenizer: Tokenizer) -> Callable[[list[str]], list[list[int]]]:
    """A function from texts to token ids, fast enough to run between training steps."""

    def encode(texts: list[str]) -> list[list[int]]:
        return [found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return encode
