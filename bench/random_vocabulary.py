"""The tokenizer of the random model: as many tokens as Gemma 3 has, of the same kinds, at the same ids.

What matters for measuring and testing is kept: the control tokens' places, byte tokens, tags and runs of newlines as
added tokens, spaces that belong to the word behind them, single digits, and pieces that join punctuation (`},`, `":`)
so that text which is tokenised in parts comes out otherwise than whole. The words are ours, not Gemma's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

SIZE = 262_144
SPACE = "▁"
BOS = 2

# Where FunctionGemma has its control tokens; what lies between them is <unusedN>.
CONTROLS = {
    46: "<start_function_declaration>",
    47: "<end_function_declaration>",
    48: "<start_function_call>",
    49: "<end_function_call>",
    50: "<start_function_response>",
    51: "<end_function_response>",
    52: "<escape>",
    105: "<start_of_turn>",
    106: "<end_of_turn>",
}
# Listed as ordinary added tokens in FunctionGemma's own tokenizer, which is one more thing to get right.
NOT_SPECIAL = {46, 47, 48, 49, 51, 52}
FIRST_TEXT, FIRST_BYTE = 107, 238


def pieces() -> dict[str, list[str]]:
    """What random_pieces.txt lists of each kind; words and fragments with the frequent ones first."""
    listed: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "random_pieces.txt").read_text("utf-8").splitlines():
        kind, _, of_kind = line.partition(": ")
        listed.setdefault(kind, []).extend(of_kind.split())
    return listed


PIECES = pieces()
ENDINGS = ["", "s", "ed", "ing", "er", "ly", "'s"]


LETTERS = "etaoinsrhldcumfpgwybvkxjqz"
SYMBOLS = "0123456789_-.,:;'\"!?()[]{}<>/\\|@#$%^&*+=~`"


class Vocabulary:
    """Tokens in the order of their ids, and the pairs that are merged, the first ones first."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.ranks: dict[tuple[str, str], int] = {}

    def add(self, token: str) -> None:
        self.ids.setdefault(token, len(self.ids))

    def merge(self, left: str, right: str) -> None:
        self.ranks.setdefault((left, right), len(self.ranks))
        self.add(left + right)

    def learn(self, piece: str) -> None:
        """Makes one token of a piece, on top of the merges that apply to it already."""
        parts = list(piece)
        while len(parts) > 1:
            best = min(range(len(parts) - 1), key=lambda i: self.ranks.get((parts[i], parts[i + 1]), SIZE))
            if (parts[best], parts[best + 1]) not in self.ranks:
                best = 0
                self.merge(parts[0], parts[1])
            parts[best : best + 2] = [parts[best] + parts[best + 1]]


def added_tokens() -> Iterator[str]:
    """What is looked for in a text before it is cut into pieces, from id 0 on."""
    yield from ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "[multimodal]")
    unused = 0
    for place in range(6, FIRST_TEXT):
        if place not in CONTROLS:
            unused += 1
        yield CONTROLS.get(place, f"<unused{unused - 1}>")
    yield from ("\n" * count for count in range(1, 32))
    yield from (SPACE * count for count in range(2, 32))
    tags = [f"<{slash}{tag}>" for tag in PIECES["tags"] for slash in ("", "/")]
    yield from tags[: FIRST_BYTE - FIRST_TEXT - 31 - 30]


def syllables() -> list[str]:
    return [
        onset + vowel + coda
        for coda in ["", *PIECES["codas"]]
        for vowel in PIECES["vowels"]
        for onset in PIECES["onsets"]
    ]


def learnt(vocabulary: Vocabulary) -> None:
    """The pieces of real text, the frequent ones first."""
    for symbol, lengths in (("\n", range(2, 32)), (SPACE, range(2, 32))):
        for length in lengths:
            for left in range(1, length):
                vocabulary.merge(symbol * left, symbol * (length - left))
    for word in PIECES["words"]:
        for form in (SPACE + word, word):
            vocabulary.learn(form)
    for fragment in PIECES["fragments"]:
        vocabulary.learn(fragment)
    for word in PIECES["words"]:
        forms = (SPACE + word.capitalize(), word.capitalize(), word.upper(), "_" + word)
        for form in (*forms, *(SPACE + word + ending for ending in ENDINGS)):
            vocabulary.learn(form)


def fill(vocabulary: Vocabulary, syllables: Iterable[str]) -> None:
    """Words that could be, until there are enough: one syllable, then pairs of them."""
    short = list(syllables)
    for syllable in short:
        vocabulary.learn(syllable)
        vocabulary.merge(SPACE, syllable)
    for distance in range(1, len(short)):
        for place, left in enumerate(short):
            for start in (SPACE + left, left):
                if len(vocabulary.ids) == SIZE:
                    return
                vocabulary.merge(start, short[(place + distance * 7) % len(short)])


def vocabulary() -> Vocabulary:
    made = Vocabulary()
    for token in added_tokens():
        made.add(token)
    for byte in range(256):
        made.add(f"<0x{byte:02X}>")
    for character in [*(SPACE + LETTERS + LETTERS.upper() + SYMBOLS), *PIECES["foreign"]]:
        made.add(character)
    learnt(made)
    fill(made, syllables())
    if len(made.ids) != SIZE:
        raise ValueError(f"{len(made.ids)} tokens came together; {SIZE} are needed: list more in random_pieces.txt")
    return made


def scores(ids: dict[str, int]) -> list[float]:
    """SentencePiece's: what it was told to have, then its own tokens in the order of its learning them."""
    own = {*added_tokens(), *(f"<0x{byte:02X}>" for byte in range(256))}
    return [0.0 if token in own else -float(place) for token, place in ids.items()]


def pairs(ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a token, the best first: so transformers writes SentencePiece's tokenizers."""
    every = []
    for token, score in zip(ids, scores(ids), strict=True):
        cut = [(token[:place], token[place:]) for place in range(1, len(token))]
        known = [(left, right) for left, right in cut if left in ids and right in ids]
        every += [(score, pair) for pair in sorted(known, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]
    every.sort(key=lambda scored: (scored[0], len(scored[1][0]), len(scored[1][1])), reverse=True)
    return [pair for _, pair in every]


def is_control(place: int) -> bool:
    return place < FIRST_TEXT and place not in NOT_SPECIAL


def tokenizer(made: Vocabulary) -> dict[str, object]:
    """The contents of tokenizer.json."""
    added = [
        {
            "id": made.ids[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": is_control(made.ids[token]),
        }
        for token in added_tokens()
    ]
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": number}} for number, name in enumerate("AB"))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, first],
            "pair": [bos, first, {"SpecialToken": {"id": "<bos>", "type_id": 1}}, second],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [BOS], "tokens": ["<bos>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": made.ids,
            "merges": [list(pair) for pair in pairs(made.ids)],
        },
    }
