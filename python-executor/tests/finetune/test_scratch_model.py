"""The model computes what transformers computes, and what it exports is read by it."""

import json

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from callspan.finetune.scratch import export
from callspan.finetune.scratch.flat import Flat
from callspan.finetune.scratch.kernels import GatedGelu
from callspan.finetune.scratch.model import Model, Shape, attend, veiled
from conftest import TEMPLATE

SHAPES = [Shape(64, 4, 96, 2, 1, 64, 320), Shape(96, 3, 128, 4, 2, 32, 320)]


def random_model(shape: Shape) -> Model:
    model = Model(shape)
    model.start(1)
    for name, weight in model.named_parameters():
        draw = torch.Generator().manual_seed(len(name))
        weight.data += torch.randn(weight.shape, generator=draw) * 0.1
        weight.data = weight.data.bfloat16().float()  # what an export can hold
    return model


def causal(rows: int, length: int) -> torch.Tensor:
    return torch.ones(length, length).tril().bool().expand(rows, length, length)


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_equal_transformers(shape, tmp_path):
    model = random_model(shape)
    flat = Flat(model, 1)
    for name, content in export.files(model, flat, flat.master).items():
        (tmp_path / name).write_bytes(content)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, attn_implementation="eager")
    ids = torch.randint(0, shape.vocabulary, (2, 48), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = theirs(ids).logits
        got = model.logits(ids, torch.arange(48).expand(2, 48), veiled(causal(2, 48)))
    assert want.std() > 0.1
    torch.testing.assert_close(got, want, atol=2e-4, rtol=2e-4)


def test_config_keeps_the_present_model_s_fields():
    present = json.loads((TEMPLATE.parent / "config.json").read_text())
    ours = export.config(Shape())
    assert ours.keys() == present.keys()
    same = ours.keys() - {"hidden_size", "intermediate_size", "layer_types", "sliding_window", "vocab_size"}
    same -= {key for key in same if key.startswith("num_")}
    assert {key: ours[key] for key in same} == {key: present[key] for key in same}


def test_gradients_of_the_rewritten_kernels():
    draw = torch.Generator().manual_seed(0)
    gate_up = torch.randn(5, 8, generator=draw, requires_grad=True)
    gate, up = gate_up.chunk(2, -1)
    want = functional.gelu(gate, approximate="tanh") * up
    torch.testing.assert_close(GatedGelu.apply(gate_up), want)
    torch.testing.assert_close(
        torch.autograd.grad(GatedGelu.apply(gate_up).sin().sum(), gate_up)[0],
        torch.autograd.grad(want.sin().sum(), gate_up)[0],
    )


@pytest.mark.parametrize("scale", [1.0, 12.0])
def test_attention_s_gradients_equal_a_plain_softmax_s(scale):
    """With a scale of 12 the scores are from -144 to 144."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 8, *more, 16, generator=draw) for more in ((3,), (), ()))
    q, k = (scale * functional.normalize(x, dim=-1) for x in (q, k))
    leaves = [x.requires_grad_() for x in (q, k, v)]
    seen = causal(2, 8)
    scores = torch.einsum("btne,bse->btns", q, k).masked_fill(~seen.unsqueeze(2), -torch.inf)
    want = torch.einsum("btns,bse->btne", scores.softmax(-1), v)
    got = attend(q, k, v, veiled(seen))
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(
        torch.autograd.grad(got.sin().sum(), leaves), torch.autograd.grad(want.sin().sum(), leaves), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)
