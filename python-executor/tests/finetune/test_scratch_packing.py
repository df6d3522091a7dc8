"""Rows: who sees whom, where there is a loss, and that a turn in company gets the logits that it gets alone."""

import itertools

import pytest
import stub
import torch

from callspan.finetune.scratch.batches import seen
from callspan.finetune.scratch.model import Model, Shape, veiled
from callspan.finetune.scratch.packing import Rows, Sample, Turn, encode
from callspan.finetune.scratch.tokenizer import encoder


def batches(learnt, count, rows=2, **more):
    return list(itertools.islice(Rows(stub.samples(3, 0), encoder(learnt), rows, **more), count))


def test_a_turn_in_company_gets_the_logits_that_it_gets_alone(learnt):
    model = Model(Shape(64, 3, 96, 2, 1, 64, learnt.get_vocab_size()))
    model.start(0)
    samples = list(itertools.islice(stub.samples(5, 0), 12))
    rows = Rows(samples, encoder(learnt), 4, lm_weight=0, losses=2048)
    compared = 0
    with torch.no_grad():
        for batch in rows:
            ids, positions = torch.from_numpy(batch.ids), torch.from_numpy(batch.positions)
            packed = model.logits(ids, positions, veiled(torch.from_numpy(seen(batch))))
            for b, (group, turn) in itertools.product(range(4), itertools.product(range(1, 9), range(1, 6))):
                mine = (batch.group[b] == group) & ((batch.turn[b] == 0) | (batch.turn[b] == turn))
                if not (mine & (batch.turn[b] == turn)).any():
                    continue
                alone, length = ids[b][mine].unsqueeze(0), int(mine.sum())
                causal = torch.ones(1, length, length).tril().bool()
                want = model.logits(alone, torch.arange(length).unsqueeze(0), veiled(causal))
                torch.testing.assert_close(packed[b][torch.from_numpy(mine)], want[0], atol=1e-4, rtol=1e-3)
                compared += 1
    assert compared == sum(len(s.turns) for s in samples)


def test_losses_point_at_the_answers(learnt):
    for batch in batches(learnt, 5, lm_weight=0, losses=1024):
        for place in range(len(batch.kinds)):
            mine = batch.owner == place
            where, targets = batch.where[mine], batch.targets[mine]
            assert (batch.ids.reshape(-1)[where + 1] == targets).all()
            text = learnt.decode(list(targets), skip_special_tokens=False)
            assert text.startswith("<start_function_call>call:" + batch.kinds[place])
            assert text.endswith("<start_function_response>")
            assert (batch.weights[mine] == 1).all()


def test_other_text_weighs_what_it_should(learnt):
    """Only some of it is in a batch, scaled for all of it; a turn's first token is predicted by the prefix's last."""
    batch = batches(learnt, 1, lm_weight=0.02, losses=512)[0]
    answers = batch.owner >= 0
    other = ~answers & (batch.weights > 0)
    samples = sum(int(row.max()) for row in batch.group)  # nothing predicts their first tokens
    size = int((batch.group > 0).sum() - answers.sum()) - samples
    assert other.sum() < size
    assert batch.weights[other].sum() == pytest.approx(0.02 * size, rel=1e-3)
    crowded = batches(learnt, 1, lm_weight=0.5, losses=int(answers.sum()) + 1)[0]
    assert crowded.weights.max() == 1


def test_pieces_encode_as_the_whole_text_does(learnt):
    tokens = encoder(learnt)
    for sample in itertools.islice(stub.samples(9, 0), 50):
        for turn in sample.turns:
            whole = tokens([sample.prefix + turn.prompt + turn.completion])[0]
            assert list(itertools.chain(*tokens([sample.prefix, turn.prompt, turn.completion]))) == whole


def test_a_sample_longer_than_a_row_is_cut_into_several(learnt):
    sample = next(stub.samples(1, 0))
    long = Sample(sample.prefix, sample.turns * 20)
    parts = list(encode([long], encoder(learnt), 512))
    assert len(parts) > 1
    assert all(part.size <= 512 for part in parts)
    assert sum(len(part.turns) for part in parts) == len(long.turns)


@pytest.mark.parametrize("completion", ["", "hello", "a<end_of_turn>b<end_of_turn>"])
def test_a_completion_without_its_stop_token_or_with_two_is_refused(learnt, completion):
    sample = Sample("<bos>", [Turn("<start_of_turn>user\nx<end_of_turn>\n<start_of_turn>model\n", completion)])
    with pytest.raises(ValueError, match="stop token"):
        list(encode([sample], encoder(learnt), 512))
