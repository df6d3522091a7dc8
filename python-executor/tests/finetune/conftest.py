import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))

import greenhouse
import stub

from callspan.finetune.scratch import tokenizer

TEMPLATE = Path(__file__).parents[3] / "models/default/chat_template.jinja"


def texts(count: int) -> list[str]:
    some = itertools.islice(stub.samples(0, 0), count)
    return [x for s in some for x in (s.prefix, *(y for t in s.turns for y in (t.prompt, t.completion)))]


@pytest.fixture(scope="session")
def learnt() -> Tokenizer:
    return tokenizer.train(texts(2000), 2048)


@pytest.fixture(scope="session")
def conversations(tmp_path_factory) -> Path:
    return greenhouse.write(tmp_path_factory.mktemp("data") / "train.jsonl")


@pytest.fixture(scope="session")
def tuned(tmp_path_factory, conversations) -> SimpleNamespace:
    """An adapter of the built-in model, trained for a few steps by the command."""
    out = tmp_path_factory.mktemp("tuned") / "adapter"
    before = greenhouse.hashes(greenhouse.DEFAULT)
    asked = ["--base", greenhouse.DEFAULT, "--data", conversations, "--validation", conversations, "--out", out]
    done, talk = greenhouse.train(*asked, "--lora", "--max-steps", 12, "--learning-rate", 2e-3)
    return SimpleNamespace(out=out, done=done, talk=talk, before=before)


@pytest.fixture(scope="session")
def gemma(tmp_path_factory) -> Path:
    """A random model with a vocabulary of Gemma's kind. Its embeddings are smaller than its maker makes them, so that
    what its layers compute can be seen in the logits."""
    sys.path.insert(0, str(greenhouse.ROOT / "bench"))
    import make_random_model
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("gemma") / "base"
    make_random_model.make(folder, tiny=True)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] /= 64
    weights["model.norm.weight"] = (weights["model.norm.weight"] + 1) * 64 - 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def tuned_gemma(tmp_path_factory, gemma, conversations) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "gemma"
    asked = ["--base", gemma, "--data", conversations, "--out", out, "--batch", 2]
    greenhouse.train(*asked, "--lora", "--max-steps", 3, "--learning-rate", 2e-2)
    return out
