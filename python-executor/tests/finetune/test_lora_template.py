"""The template with marks: it renders what the plain one renders, and marks what the model writes."""

import json

import greenhouse
import pytest

from callspan.finetune import models, results
from callspan.finetune.data import formats, wire

CASES = json.loads((greenhouse.ROOT / "rust-inference/testdata/format/conversations.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def tokenizer():
    return models.tokenizer(greenhouse.DEFAULT)


def rendered(tokenizer, chat, template=None, prompt=True, **more):
    return tokenizer.apply_chat_template(
        chat["messages"], tools=chat.get("tools"), chat_template=template, add_generation_prompt=prompt, **more
    )


def test_a_prompt_is_the_plain_template_s(tokenizer):
    compared = 0
    for case in CASES:
        for count in range(1, len(case["chat"]["messages"]) + 1):
            chat = case["chat"] | {"messages": case["chat"]["messages"][:count]}
            plain = rendered(tokenizer, chat, tokenize=False)
            assert rendered(tokenizer, chat, results.template(), tokenize=False) == plain, case["name"]
            compared += 1
    assert compared > 50


def test_a_whole_conversation_is_the_plain_template_s_and_calls_end_with_what_stops_them(tokenizer):
    """As Google's training data: where the last message calls, the token follows at which the model stops."""
    for case in CASES:
        for count in range(1, len(case["chat"]["messages"]) + 1):
            chat = case["chat"] | {"messages": case["chat"]["messages"][:count]}
            plain = rendered(tokenizer, chat, prompt=False, tokenize=False)
            ends = wire.RESPONSE if chat["messages"][-1].get("tool_calls") else ""
            marked = rendered(tokenizer, chat, results.template(), prompt=False, tokenize=False)
            assert marked == plain + ends, case["name"]


def marked(tokenizer, example):
    found = rendered(
        tokenizer, example, results.template(), prompt=False, return_assistant_tokens_mask=True, return_dict=True
    )
    ids, mask = found["input_ids"], found["assistant_masks"]
    return tokenizer.decode(ids), tokenizer.decode([token for token, one in zip(ids, mask, strict=True) if one])


def test_the_marks_are_of_exactly_the_completion(tokenizer):
    for number in range(12):
        example = formats.conversation(greenhouse.conversation(number))
        prompt, completion = formats.pair(example)
        whole, learned = marked(tokenizer, example)
        assert whole == prompt + completion
        written = [one for one in example["messages"] if one["role"] == "assistant"]
        assert learned == "".join(map(wire.completion, written))
        assert learned.endswith(completion)


def test_the_template_comes_with_what_was_trained(tuned):
    assert (tuned.out / "chat_template.jinja").read_text("utf-8") == results.template()
    assert "{%- generation -%}" in results.template()


def test_the_data_s_prompt_is_the_template_s(tokenizer):
    for number in range(4):
        example = formats.conversation(greenhouse.conversation(number))
        prompt, _ = formats.pair(example)
        chat = {"messages": example["messages"][:-1], "tools": example["tools"]}
        assert rendered(tokenizer, chat, results.template(), tokenize=False) == prompt
