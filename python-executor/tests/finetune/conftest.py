import itertools
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))

import stub

from callspan.finetune.scratch import tokenizer

TEMPLATE = Path(__file__).parents[3] / "models/default/chat_template.jinja"


def texts(count: int) -> list[str]:
    some = itertools.islice(stub.samples(0, 0), count)
    return [x for s in some for x in (s.prefix, *(y for t in s.turns for y in (t.prompt, t.completion)))]


@pytest.fixture(scope="session")
def learnt() -> Tokenizer:
    return tokenizer.train(texts(2000), 2048)
