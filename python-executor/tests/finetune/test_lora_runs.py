"""Runs that end early, runs of several processes, and runs that are given again."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import greenhouse
import pytest
from safetensors.torch import load_file

from callspan.finetune import checkpoints
from callspan.finetune.errors import FinetuneError

STEPS = ["--max-steps", 8, "--save-every", 2, "--learning-rate", 1e-3]


def asked(conversations, out, *more):
    return ["--base", greenhouse.DEFAULT, "--data", conversations, "--out", out, "--lora", *STEPS, *more]


@pytest.fixture(scope="module")
def undisturbed(conversations, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    greenhouse.train(*asked(conversations, out))
    return out


def test_a_killed_run_goes_on_from_its_last_checkpoint_and_ends_as_one_that_was_not(
    conversations, undisturbed, tmp_path
):
    out = tmp_path / "killed"
    command = greenhouse.command("callspan.finetune", "--accumulation", 1, *asked(conversations, out))
    with subprocess.Popen(command, env=greenhouse.environment(), stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 600
        while not (out / "checkpoints" / "checkpoint-4" / "whole").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    # As if it had died while it wrote the next one.
    last = max((out / "checkpoints").glob("checkpoint-*/whole"), key=lambda path: int(path.parent.name[11:])).parent
    cut = out / "checkpoints" / "checkpoint-7"
    shutil.copytree(last, cut)
    (cut / "whole").unlink()
    (cut / "optimizer.pt").write_bytes(b"cut")
    done, talk = greenhouse.train(*asked(conversations, out))
    assert f"{cut} was cut off, and is removed" in talk
    assert f"goes on from {last}" in talk
    assert "step 1 of 8" not in talk
    assert done["steps"] == 8
    name = "adapter_model.safetensors"
    assert (out / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_run_that_is_done_is_left_alone_and_another_is_not_mixed_with_it(conversations, undisturbed):
    before = greenhouse.hashes(undisturbed)
    done, talk = greenhouse.train(*asked(conversations, undisturbed))
    assert (done["steps"], "is done already" in talk) == (0, True)
    other = ["--accumulation", 1, *asked(conversations, undisturbed, "--rank", 4)]
    _, talk = greenhouse.run("callspan.finetune", *other, status=2)
    assert "holds another run: rank was 8 and is 4" in talk
    assert greenhouse.hashes(undisturbed) == before
    assert not (undisturbed / "checkpoints").exists()


def test_a_run_without_a_checkpoint_begins_anew_with_what_mends_it(tmp_path):
    work = checkpoints.Run(tmp_path / "out", {"rank": 8})
    assert not work.done()
    work.begin()
    other = checkpoints.Run(tmp_path / "out", {"rank": 4})
    assert not other.done()
    other.begin()
    assert json.loads((tmp_path / "out" / checkpoints.RUN).read_text())["asked"] == {"rank": 4}
    (other.folder / "checkpoint-2").mkdir()
    (other.folder / "checkpoint-2" / checkpoints.WHOLE).touch()
    with pytest.raises(FinetuneError, match="rank was 4 and is 8"):
        work.done()


def test_a_folder_with_other_things_is_refused(conversations, tmp_path):
    (tmp_path / "mine").write_text("kept")
    _, talk = greenhouse.run("callspan.finetune", *asked(conversations, tmp_path), status=2)
    assert "is there, and holds no run" in talk
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_two_processes_train_one_model_and_only_the_first_speaks(conversations, undisturbed, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    out = tmp_path / "together"
    more = ["--batch", 2, "--validation", conversations]
    done, talk = greenhouse.train(*asked(conversations, out, *more), launcher=launcher)
    assert done["steps"] == 8
    assert done["validation_loss"] < done["first_loss"]
    assert talk.count("step 1 of 8") == talk.count("done:") == 1
    assert json.loads((out / "finetune.json").read_text())["asked"]["processes"] == 2
    # Twice two examples make the step that four make alone, and so the same adapter, but for rounding.
    name = "adapter_model.safetensors"
    together, alone = load_file(out / name), load_file(undisturbed / name)
    assert together.keys() == alone.keys()
    far = max((together[key] - alone[key]).abs().max().item() for key in alone)
    learned = max(alone[key].abs().max().item() for key in alone if "lora_B" in key)
    assert far < learned / 20


def can_mount() -> bool:
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(shutil.which("unshare") is None or not can_mount(), reason="no disk can be mounted here")
def test_a_full_disk_is_told_and_the_last_checkpoint_goes_on(conversations, undisturbed, tmp_path):
    """In a mount namespace of its own: first with room for one checkpoint and a half, then with enough."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = greenhouse.command("callspan.finetune", "--accumulation", 1, *asked(conversations, disk / "out"))
    script = """set -u; disk=$1; shift
        mount -t tmpfs -o size=4m tmpfs "$disk" || exit 77
        "$@"; echo "first $?"; ls "$disk"/out/checkpoints
        mount -o remount,size=64m "$disk"
        "$@"; echo "second $?"; sha256sum "$disk"/out/adapter_model.safetensors"""
    found = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script, "bash", str(disk), *command],
        env=greenhouse.environment(),
        capture_output=True,
        text=True,
    )
    if found.returncode == 77:
        pytest.skip("no disk can be mounted here")
    assert "the disk is full" in found.stderr
    assert "is whole" in found.stderr
    assert "Traceback" not in found.stderr
    assert "first 1" in found.stdout
    assert "goes on from" in found.stderr
    assert "second 0" in found.stdout
    assert greenhouse.hashes(undisturbed)["adapter_model.safetensors"] in found.stdout
