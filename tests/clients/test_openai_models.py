"""The official Python client's models and embeddings, over TCP and over a Unix socket."""

from __future__ import annotations

import math
from collections.abc import Callable

import openai
import pytest
from asked import HELLO
from front import Front
from openai import OpenAI

TEXTS = ["How many miles is 12 km?", "What time is it in Tokyo?", "Turn on the lamp in the kitchen"]


def test_models_are_listed_and_found_by_name(client: OpenAI) -> None:
    listed = list(client.models.list())
    assert listed
    for model in listed:
        assert model.object == "model"
        assert model.id
        assert model.owned_by
        assert model.created >= 0
        again = client.models.retrieve(model.id)
        assert (again.id, again.object, again.created, again.owned_by) == (
            model.id, model.object, model.created, model.owned_by,
        )  # fmt: skip


def test_a_model_that_is_not_there_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("no-such-model")
    assert missing.value.code == "model_not_found"
    assert "no-such-model" in missing.value.message


def test_vectors_are_the_same_in_both_encodings(client: OpenAI, model: str) -> None:
    # Without a word the client asks for base64 and unpacks it.
    packed = client.embeddings.create(model=model, input=TEXTS)
    plain = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")

    assert packed.object == plain.object == "list"
    assert packed.model == model
    assert [item.index for item in packed.data] == [item.index for item in plain.data] == [0, 1, 2]
    for ours, theirs in zip(packed.data, plain.data, strict=True):
        assert ours.object == "embedding"
        assert len(ours.embedding) == len(theirs.embedding) > 100
        assert ours.embedding == pytest.approx(theirs.embedding, abs=1e-6)
        assert math.hypot(*ours.embedding) == pytest.approx(1, abs=1e-3)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > len(TEXTS)


def test_a_text_alone_has_the_vector_that_it_has_among_others(client: OpenAI, model: str) -> None:
    together = client.embeddings.create(model=model, input=TEXTS)
    for text, item in zip(TEXTS, together.data, strict=True):
        [alone] = client.embeddings.create(model=model, input=text).data
        assert alone.embedding == item.embedding
    near, far = (
        sum(a * b for a, b in zip(together.data[0].embedding, vector, strict=True))
        for vector in (
            client.embeddings.create(model=model, input="Convert 13 km to miles").data[0].embedding,
            together.data[2].embedding,
        )
    )
    assert near > far


def test_dimensions_are_those_of_the_model_or_refused(client: OpenAI, model: str) -> None:
    size = len(client.embeddings.create(model=model, input="Hello").data[0].embedding)
    [same] = client.embeddings.create(model=model, input="Hello", dimensions=size).data
    assert len(same.embedding) == size
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=model, input="Hello", dimensions=size // 2)
    assert refused.value.param == "dimensions"


@pytest.mark.parametrize("texts", ["", [], [[1, 2, 3]], [1, 2, 3]])
def test_what_cannot_be_embedded_is_refused(client: OpenAI, model: str, texts: list[str]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=model, input=texts)
    assert (refused.value.param or "").startswith("input")


def test_each_of_several_models_answers_under_its_name(open_front: Callable[..., Front]) -> None:
    front = open_front("--model", "small=built-in", "--model", "spare=built-in")
    with front.openai() as client:
        assert [model.id for model in client.models.list()] == ["small", "spare"]
        answers = [client.chat.completions.create(model=name, messages=HELLO) for name in ("small", "spare")]
        assert [answer.model for answer in answers] == ["small", "spare"]
        assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
        assert client.embeddings.create(model="spare", input=TEXTS).model == "spare"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="callspan-default", messages=HELLO)
