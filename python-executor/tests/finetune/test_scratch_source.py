"""Samples from files."""

import itertools
import json
from collections import Counter
from dataclasses import asdict

import pytest
import stub

from callspan.finetune.scratch.source import find, fingerprint


def test_a_file_is_read_again_and_again_each_time_mixed_anew(tmp_path):
    some = list(itertools.islice(stub.samples(0, 0), 10))
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(asdict(sample)) + "\n" for sample in some))
    read = list(itertools.islice(find(str(path))(0, 0), 30))
    rounds = [[sample.prefix for sample in read[start : start + 10]] for start in (0, 10, 20)]
    assert all(Counter(names) == Counter(sample.prefix for sample in some) for names in rounds)
    assert len({tuple(names) for names in rounds}) == 3
    assert read == list(itertools.islice(find(str(path))(0, 0), 30))
    assert read != list(itertools.islice(find(str(path))(0, 1), 30))


@pytest.mark.parametrize("name", ["nowhere.jsonl", "module_without_function", "stub:nothing"])
def test_a_source_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=name.partition(":")[2] or name):
        find(name)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    with pytest.raises(ValueError, match="no samples"):
        next(find(str(path))(0, 0))


@pytest.mark.parametrize(
    ("line", "what"), [("{", "Expecting"), ('{"turns":[]}', "there is no 'prefix'"), ("[]", "list")]
)
def test_a_line_that_is_no_sample_is_told_with_its_place(tmp_path, line, what):
    path = tmp_path / "some.jsonl"
    path.write_text("\n" + line)
    with pytest.raises(ValueError, match=f"some.jsonl:2: .*{what}"):
        next(find(str(path))(0, 0))


def test_a_fingerprint_tells_samples_apart():
    prints = {fingerprint(list(itertools.islice(stub.samples(seed, 0), 5))) for seed in (0, 0, 1)}
    assert len(prints) == 2
