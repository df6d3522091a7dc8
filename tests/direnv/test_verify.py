"""scripts/verify-workspace, on machines that have and lack what a shell should provide."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

HERE = Path(__file__).resolve().parents[2] / "scripts"
SCRIPTS = ("verify-workspace", "verify-tools.sh", "verify-machine.sh", "setup-system")
# What it is written with; what it looks for is put beside it, one by one.
WRITTEN_WITH = "awk df find sort timeout"
LIBRARIES = "aeson async base hspec network optparse-applicative QuickCheck random scientific"
SAYING = {
    "cargo": "",
    "rustc": "rustc 1.95.0 (abc 2026-04-01)",
    "ghc": "9.0.2",
    "ghc-pkg": LIBRARIES,
    "cabal": "3.4.1.0",
    "socat": "",
    "ldconfig": "1 libs found in cache `/etc/ld.so.cache'",
}


def says(text: str, status: int = 0) -> str:
    return f"#!/usr/bin/env bash\ncat <<'END'\n{text}\nEND\nexit {status}\n"


@pytest.fixture
def machine(ready: Workspace) -> Workspace:
    """A workspace where all is there that is needed, and nothing is built."""
    for name in SCRIPTS:
        shutil.copy(HERE / name, ready.checkout / "scripts" / name)
    ready.write("Cargo.toml", '[workspace.package]\nrust-version = "1.95"\n')
    for name in WRITTEN_WITH.split():
        found = shutil.which(name)
        assert found
        (ready.tools / name).symlink_to(found)
    for name, text in SAYING.items():
        ready.program(name, says(text))
    return ready


def verify(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return workspace.run("scripts/verify-workspace", *arguments)


def rows(workspace: Workspace, *arguments: str) -> dict[str, dict[str, Any]]:
    """What it found out, by check; that the exit status says the same is held each time."""
    done = verify(workspace, "--json", *arguments)
    table = json.loads(done.stdout)
    found = {row["check"]: row for row in table["checks"]}
    assert len(found) == len(table["checks"])
    lacking = [row["check"] for row in table["checks"] if row["needed"] and row["state"] != "ok"]
    assert table["complete"] == (not lacking)
    assert done.returncode == (1 if lacking else 0)
    if lacking:
        assert f"lacks {', '.join(lacking)}\n" in done.stderr
    for row in found.values():
        assert (row["fix"] is None) == (row["state"] == "ok")
    return found


def test_all_that_is_needed_is_there(machine: Workspace) -> None:
    found = rows(machine)
    needed = {name for name, row in found.items() if row["needed"]}
    assert needed == {"rust", "ghc", "libraries", "cabal", "python", "venv", "socat"}
    assert {found[name]["state"] for name in needed} == {"ok"}
    # What is optional may be missing, and is told as well.
    assert found["programs"]["state"] == "missing"
    assert found["nix"]["state"] == "missing"


@pytest.mark.parametrize(
    ("program", "check", "fix"),
    [
        ("cargo", "rust", "install Rust 1.95 or newer: https://rustup.rs"),
        ("rustc", "rust", "install Rust 1.95 or newer: https://rustup.rs"),
        ("ghc", "ghc", "make setup"),
        ("cabal", "cabal", "make setup"),
        ("socat", "socat", "make setup"),
        ("python", "python", "make setup"),
    ],
)
def test_what_is_missing_is_told_with_its_cure(machine: Workspace, program: str, check: str, fix: str) -> None:
    (machine.tools / program).unlink()
    row = rows(machine)[check]
    assert (row["needed"], row["state"], row["fix"]) == (True, "missing", fix)


@pytest.mark.parametrize(
    ("program", "text", "status", "check", "state"),
    [
        ("rustc", "rustc 1.94.1 (abc 2026-01-01)", 0, "rust", "old"),
        ("rustc", "rustc 1.100.0 (abc 2026-09-01)", 0, "rust", "ok"),
        ("rustc", "error: no default toolchain of version 1.96.0", 1, "rust", "missing"),
        ("ghc", "8.10.7", 0, "ghc", "old"),
        ("cabal", "3.0.0.0", 0, "cabal", "old"),
        ("ghc-pkg", "base random", 0, "libraries", "missing"),
    ],
)
def test_a_version_that_is_too_old_will_not_do(
    machine: Workspace, program: str, text: str, status: int, check: str, state: str
) -> None:
    machine.program(program, says(text, status))
    assert rows(machine)[check]["state"] == state


@pytest.mark.parametrize(
    ("version", "state"),
    [("9.10.1", "ok"), ("9.10", "ok"), ("9.1.0", "other"), ("9.100.1", "other"), ("9.6.6", "other")],
)
def test_a_shell_for_one_version_wants_that_one(machine: Workspace, version: str, state: str) -> None:
    machine.program("ghc", says(version))
    row = rows(machine, "--shell", "ghc910")["ghc"]
    assert row["state"] == state
    assert rows(machine)["ghc"]["state"] == "ok"


def test_a_shell_that_wants_another_python_says_so(machine: Workspace) -> None:
    row = rows(machine, "--shell", "py313")["python"]
    version = subprocess.run(
        [machine.tools / "python", "--version"], env=machine.environment(), capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert row["state"] == ("ok" if version.startswith("3.13.") else "other")


def test_requirements_that_changed_make_the_environment_old(machine: Workspace) -> None:
    (machine.checkout / "python-executor/requirements.txt").write_text("pydantic\n", "utf-8")
    assert rows(machine)["venv"]["state"] == "old"
    shutil.rmtree(machine.checkout / ".venv")
    assert rows(machine)["venv"]["state"] == "missing"


def test_what_was_built_is_compared_with_its_sources(machine: Workspace) -> None:
    files = {
        "ipc": "ipc/src/lib.rs",
        "rust-inference": "rust-inference/src/main.rs",
        "python-executor": "python-executor/src/main.rs",
        "callspan": "haskell-orchestrator/app/Main.hs",
    }
    for name in (*files.values(), "Cargo.lock"):
        machine.write(name, "")
    for program in files:
        assert rows(machine)["programs"]["state"] == "missing"
        machine.write(f"bin/{program}", says(""), executable=True, age=60)
    assert rows(machine)["programs"]["state"] == "ok"
    for program, file in files.items():
        os.utime(machine.checkout / file)
        row = rows(machine)["programs"]
        assert (row["state"], row["fix"]) == ("old", "make build")
        assert f"{program} is older than {file}" in row["found"]
        os.utime(machine.checkout / file, (time.time() - 3600,) * 2)


@pytest.mark.parametrize(
    ("text", "status", "state"),
    [
        ('{"level":"full","mechanisms":[]}', 0, "ok"),
        ('{"level":"full","mechanisms":[]}', 1, "broken"),
        ('{"level":"reduced","mechanisms":[]}', 1, "reduced"),
        ("python-executor: Landlock is not there", 1, "broken"),
    ],
)
def test_the_sandbox_is_what_the_executor_says(machine: Workspace, text: str, status: int, state: str) -> None:
    machine.write("bin/python-executor", says(text, status), executable=True)
    assert rows(machine)["sandbox"]["state"] == state


def test_cuda_is_a_driver_that_answers_and_its_library(machine: Workspace) -> None:
    gpu = ("--shell", "gpu")
    machine.program("nvcc", says("Cuda compilation tools"))
    assert rows(machine, *gpu)["cuda"]["state"] == "missing"
    machine.program("nvidia-smi", says("NVIDIA H100, 570.1\nNVIDIA H100, 570.1"))
    row = rows(machine, *gpu)["cuda"]
    assert row["state"] == "missing"
    assert "no libcuda.so.1" in row["found"]
    library = machine.write("driver/libcuda.so.1", "")
    machine.variables["LD_LIBRARY_PATH"] = f"/nowhere:{library.parent}"
    row = rows(machine, *gpu)["cuda"]
    assert (row["needed"], row["state"], row["found"]) == (True, "ok", f"NVIDIA H100, 570.1; {library}")
    assert rows(machine)["cuda"]["needed"] is False
    # When it fails, it says so on standard output.
    machine.program("nvidia-smi", says("NVIDIA-SMI has failed because the driver is not there.", 9))
    assert rows(machine, *gpu)["cuda"]["state"] == "missing"
    machine.program("nvidia-smi", says("NVIDIA H100, 570.1"))
    del machine.variables["LD_LIBRARY_PATH"]
    machine.program("ldconfig", says("\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/libcuda.so.1"))
    assert rows(machine, *gpu)["cuda"]["found"] == "NVIDIA H100, 570.1; /usr/lib/libcuda.so.1"


def test_the_disk_is_the_one_that_is_built_on(machine: Workspace) -> None:
    (machine.tools / "df").unlink()  # a link to the real one
    kib = "kib=$((1024 * 1024)); case $* in *roomy*) kib=$((7 * kib)) ;; esac"
    machine.program("df", f'#!/usr/bin/env bash\n{kib}\nprintf "F B U A\\nx x x %s\\n" "$kib"\n')
    assert (rows(machine)["disk"]["state"], rows(machine)["disk"]["needed"]) == ("full", False)
    (machine.room / "roomy").mkdir()
    machine.variables["CARGO_TARGET_DIR"] = str(machine.room / "roomy/not/made/yet")
    assert rows(machine)["disk"]["found"].startswith("7 GiB are free; ")


def test_models_of_hugging_face_are_counted_where_the_server_looks(machine: Workspace) -> None:
    assert rows(machine)["hf-cache"]["state"] == "missing"
    for model in ("models--a--b", "models--c--d", "datasets--e--f"):
        (machine.home / ".cache/huggingface/hub" / model).mkdir(parents=True)
    assert rows(machine)["hf-cache"]["found"].endswith("/.cache/huggingface/hub, with 2 models")
    machine.variables["HF_HOME"] = str(machine.home / "hf")
    assert rows(machine)["hf-cache"]["state"] == "missing"


def test_the_shell_is_the_one_that_was_named_or_entered_or_chosen(machine: Workspace) -> None:
    def shell(*arguments: str) -> str:
        return str(json.loads(verify(machine, "--json", *arguments).stdout)["shell"])

    assert shell() == "default"
    machine.variables["CALLSPAN_SHELL"] = "docs"
    assert shell() == "docs"
    machine.variables["CALLSPAN_IN_SHELL"] = "gpu"
    assert shell() == "gpu"
    assert shell("--shell", "tee") == "tee"


def test_a_shell_from_nix_lacks_what_the_flake_should_have_brought(machine: Workspace) -> None:
    machine.variables |= {"IN_NIX_SHELL": "impure", "CALLSPAN_IN_SHELL": "default"}
    found = rows(machine)
    assert {"uv", "protoc", "haskell-language-server-wrapper"} <= {name for name in found if found[name]["needed"]}
    assert found["uv"]["state"] == "missing"
    machine.program("uv", says(""))
    assert rows(machine)["uv"]["state"] == "ok"
    # Nix did not bring another one, none at all, or one that is not ours.
    assert "from Nix" in verify(machine).stdout
    assert "uv" not in rows(machine, "--shell", "docs")
    for entered in ("none", ""):
        machine.variables["CALLSPAN_IN_SHELL"] = entered
        assert "uv" not in rows(machine)


def test_what_a_shell_sets_is_looked_for_and_shown_as_it_is(machine: Workspace) -> None:
    assert rows(machine, "--shell", "cpu-opt")["$RUSTFLAGS"]["state"] == "missing"
    assert rows(machine, "--shell", "gpu-opt")["$RUSTFLAGS"]["state"] == "missing"
    machine.variables["RUSTFLAGS"] = '-C "target\\cpu"\t=native\nü'
    assert rows(machine, "--shell", "cpu-opt")["$RUSTFLAGS"]["found"] == '-C "target\\cpu" =native ü'


def test_every_shell_of_the_list_can_be_verified(machine: Workspace) -> None:
    names = [
        line.split("|")[0].strip()
        for line in (machine.checkout / "scripts/shells.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert len(names) > 10
    for name in names:
        assert set(rows(machine, "--shell", name)) >= {"rust", "disk"}


def test_the_table_says_what_json_says(machine: Workspace) -> None:
    (machine.tools / "ghc").unlink()
    done = verify(machine)
    assert done.returncode == 1
    for row in rows(machine).values():
        word = "needed" if row["needed"] else "optional"
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{row['check']} ")]
        assert line.split(maxsplit=3) == [row["check"], word, row["state"], row["found"]]
        assert row["fix"] is None or f"fix: {row['fix']}\n" in done.stdout
    assert done.stderr == "error: the shell default lacks ghc\n  fix: see above, each with its cure\n"


def test_a_line_says_whether_all_that_is_needed_is_there(machine: Workspace) -> None:
    done = verify(machine, "--line")
    start = "the shell default, as far as it is on PATH:"
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{start} all that is needed is there\n", "")
    (machine.tools / "ghc").unlink()
    machine.program("cabal", says("3.0.0.0"))
    done = verify(machine, "--line")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"{start} ghc, cabal will not do; scripts/verify-workspace says why\n"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--shell", "gpuu"], "there is no shell gpuu\n  fix: one of default gpu "),
        (["--shell"], "--shell takes a name"),
        (["--jsn"], "there is no option --jsn"),
    ],
)
def test_a_wrong_call_is_told_with_its_cure(machine: Workspace, arguments: list[str], what: str) -> None:
    done = verify(machine, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
