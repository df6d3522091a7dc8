"""The tokenizer's promises."""

import json

import pytest
from transformers import AutoTokenizer

from callspan.finetune.scratch import tokenizer
from conftest import TEMPLATE, texts


def pieces(learnt, text):
    return learnt.encode(text, add_special_tokens=False).tokens


def test_control_tokens_have_the_present_ids_and_flags(learnt):
    present = json.loads((TEMPLATE.parent / "tokenizer.json").read_text())
    ours = json.loads(learnt.to_str())
    assert ours["added_tokens"] == present["added_tokens"]
    assert ours["pre_tokenizer"] == present["pre_tokenizer"]
    assert ours["decoder"] == present["decoder"]


def test_every_run_of_up_to_three_digits_is_one_token(learnt):
    runs = [f"{n:0{width}d}" for width in (1, 2, 3) for n in range(10**width)]
    assert [run for run in runs if len(pieces(learnt, run)) != 1] == []
    assert pieces(learnt, "12345") == ["123", "45"]


def test_a_word_looks_alike_wherever_it_stands(learnt):
    for text in ("x kamota y", "x_kamota_y", '"kamota"', "{kamota:1}"):
        assert "|".join(pieces(learnt, "kamota")) in "|".join(pieces(learnt, text))


def test_fixed_pieces_are_one_token_each(learnt):
    text = "<start_of_turn>developer\n" + tokenizer.TRIGGER + "<start_function_declaration>declaration:"
    assert len(pieces(learnt, text)) == 4
    for piece in ("{description:", ",parameters:{properties:{", "},required:[", "call:", "model\n"):
        assert len(pieces(learnt, piece)) == 1
    assert pieces(learnt, "the lamp")[0] == "the "


def test_no_merge_makes_a_control_token(learnt):
    assert set(tokenizer.CONTROL) <= set(learnt.get_vocab())
    merged = {a + b for a, b in map(tuple, json.loads(learnt.to_str())["model"]["merges"])}
    assert not merged & set(tokenizer.CONTROL)


def test_any_text_comes_back(learnt, tmp_path):
    tokenizer.save(learnt, tmp_path, TEMPLATE)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in ("Tromsø, 東京 🙂\n\t x", "a  b", "<start_of_turn>user\nThe  End<end_of_turn>"):
        ids = learnt.encode(text, add_special_tokens=False).ids
        assert learnt.decode(ids, skip_special_tokens=False) == text
        assert theirs(text, add_special_tokens=False).input_ids == ids


def test_a_vocabulary_without_room_for_words_is_refused():
    with pytest.raises(ValueError, match="10 tokens are too few"):
        tokenizer.train(texts(5), 10)
