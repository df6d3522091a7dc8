"""Whole runs, tiny ones: the loss falls, a kill loses little, a full disk is survived, a seed decides."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import stub

from callspan.finetune.scratch import plot
from conftest import TEMPLATE

HERE = Path(__file__).parent


def command(out: Path, *more: str) -> list[str]:
    fixed = ["--size", "test", "--vocabulary", "2048", "--tokenizer-samples", "500", "--held-samples", "20"]
    fixed += ["--processes", "2", "--rows", "2", "--no-compile", "--template", str(TEMPLATE)]
    program = [sys.executable, "-m", "callspan.finetune.scratch", "--source", "stub:samples", "--out", str(out)]
    return [*program, *fixed, *more]


def start(out: Path, *more: str) -> subprocess.Popen:
    paths = [str(HERE), str(HERE.parents[1] / "python")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen(
        command(out, *more), env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def run(out: Path, *more: str) -> str:
    process = start(out, *more)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def metrics(out: Path, key: str) -> list[dict]:
    return [row for row in map(json.loads, (out / "metrics.jsonl").read_text().splitlines()) if key in row]


def test_the_loss_falls_and_the_run_is_recorded(tmp_path):
    run(tmp_path, "--tokens", "400000", "--check-seconds", "5")
    losses = [row["loss"] for row in metrics(tmp_path, "loss")]
    assert losses[-1] < losses[0] / 3
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["plan"]["seed"] == 0
    assert record["result"]["positions"] >= 400_000
    assert record["best"]["held"]["all"]["answers"] > 20
    names = {path.name for path in (tmp_path / "best").iterdir()}
    assert names >= {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"}
    assert plot.draw(tmp_path).read_bytes().startswith(b"\x89PNG")
    assert "this run is over" in run(tmp_path, "--tokens", "400000")


def test_a_run_that_is_none_is_not_drawn(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["plot", str(tmp_path)])
    assert plot.main() == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'metrics.jsonl'} is not there\n  fix: ")


def test_a_seed_and_a_number_of_tokens_decide_the_weights(tmp_path):
    hashes = set()
    for name in ("a", "b"):
        run(tmp_path / name, "--tokens", "40000", "--check-seconds", "1000")
        hashes.add(hashlib.sha256((tmp_path / name / "best/model.safetensors").read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path):
    process = start(tmp_path, "--tokens", "600000", "--save-seconds", "1", "--check-seconds", "1000")
    saved = tmp_path / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not saved.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)
    assert len(members(process.pid)) >= 3
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(3)  # its children see it within a second
    assert members(process.pid) == []
    said = run(tmp_path, "--tokens", "600000")
    assert "going on from step" in said
    assert metrics(tmp_path, "loss")[-1]["positions"] >= 600_000
    assert len(json.loads((tmp_path / "training.json").read_text())["started"]) == 2


def test_a_run_that_is_asked_to_stop_saves_first(tmp_path):
    process = start(tmp_path, "--tokens", "60000000", "--save-seconds", "1000", "--check-seconds", "1000")
    deadline = time.monotonic() + 120
    while not (tmp_path / "metrics.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--minutes", "-5"], "--minutes: '-5' is no number above zero"),
        (["--minutes", "nan"], "--minutes: 'nan' is no number above zero"),
        (["--tokens", "0"], "--tokens: '0' is not one, two, three"),
        (["--tokens", "1", "--processes", "0"], "--processes: '0' is not one, two, three"),
        (["--tokens", "1", "--natural", "gone"], "error: gone is not there\n  fix: write it with"),
        (["--tokens", "1", "--template", "gone"], "error: gone is not there\n  fix: name one"),
        (["--tokens", "1", "--source", "stub:gone"], "error: stub has no function 'gone'"),
    ],
)
def test_what_is_wrong_with_a_command_is_told(tmp_path, arguments, what):
    process = start(tmp_path, *arguments)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 2
    assert what in said
    assert "Traceback" not in said


def members(session: int) -> list[str]:
    """The processes of a session; those that are gone but not yet waited for do not count."""
    found = subprocess.run(["/bin/ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]


def test_another_run_s_folder_is_refused(tmp_path):
    run(tmp_path, "--tokens", "5000")
    process = start(tmp_path, "--tokens", "9000", "--seed", "7")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "holds another run" in said


def test_other_data_is_refused(tmp_path):
    path = tmp_path / "some.jsonl"
    for seed, code in ((0, 0), (1, 2)):
        some = itertools.islice(stub.samples(seed, 0), 300)
        path.write_text("".join(json.dumps(asdict(sample)) + "\n" for sample in some))
        process = start(tmp_path / "out", "--tokens", str(5000 + seed * 5000), "--source", str(path))
        _, said = process.communicate(timeout=100)
        assert process.returncode == code, said
    assert "was begun with other data" in said


@pytest.fixture
def small_disk(tmp_path):
    """16 MB of memory as a disk. Mounting it needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["/bin/umount", str(place)], check=True)


def test_a_full_disk_leaves_the_old_checkpoint_and_training_goes_on(small_disk):
    run(small_disk, "--tokens", "5000")
    before = (small_disk / "checkpoint.pt").read_bytes()
    disk = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - 300_000))
    said = run(small_disk, "--tokens", "40000")
    assert "No space left" in said
    assert "training goes on" in said
    assert (small_disk / "checkpoint.pt").read_bytes() == before
    assert not list(small_disk.glob("*.new"))
