"""The images, really built on a Debian that is made here, and what runs in them. It takes root and what
scripts/setup-deploy installs, and no container engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import ROOT, run, until
from stores import Image, Store, new_store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="images are built here as root")


@pytest.fixture
def inside(store: Store, images: dict[str, Image]) -> Iterator[Callable[[str], list[str]]]:
    """Makes a container of an image, and gives the command by which others are run in it, as the image says."""
    made = []

    def container(name: str) -> list[str]:
        made.append(store.tool("buildah", "from", "--pull-never", images[name].name))
        return ["buildah", "run", made[-1], "--"]

    yield container
    for name in made:
        store.tool("buildah", "rm", name)


def test_an_image_is_labelled_with_what_the_checkout_is(store: Store, images: dict[str, Image]) -> None:
    for name, image in images.items():
        same = store.ours("verify", f"containers-storage:{image.name}", "--digest", image.id)
        assert same.status == 0, same.stdout + same.stderr
        assert f"callspan-{name}" in same.stdout
        assert image.id in same.stdout
        config = json.loads(store.tool("skopeo", "inspect", "--config", f"containers-storage:{image.name}"))
        labels = config["config"]["Labels"]
        # And with nothing else, such as the version of what built it.
        assert {key.rpartition(".")[0] for key in labels} == {"org.opencontainers.image"}
        assert config["created"] == labels["org.opencontainers.image.created"]
        assert config["config"]["User"] == "10001:10001"
        # What the latest is called is that.
        latest = store.tool("skopeo", "inspect", "--config", f"containers-storage:localhost/callspan-{name}:latest")
        assert json.loads(latest) == config


def test_of_the_same_parts_comes_the_same_image(
    store: Store, base: str, images: dict[str, Image], installed: Path
) -> None:
    """In another store, where nothing of the first build is left to be used again."""
    with new_store() as other:
        copy = f"dir:{other.directory}/base"
        store.tool("skopeo", "copy", "--quiet", f"containers-storage:{base}", copy)
        other.tool("skopeo", "copy", "--quiet", copy, f"containers-storage:{base}")
        assert other.build("executor", "--base", base, "--prebuilt", installed) == [images["executor"]]


def test_an_image_that_a_program_writes_is_taken_as_it_is(
    store: Store, images: dict[str, Image], tmp_path: Path
) -> None:
    """As the flake's are: programs that write an archive to a pipe. One that ends half-way makes no image."""
    stream = tmp_path / "inference"
    script = "#!/bin/sh\ncat {}/image.tar\nexit {}\n"
    with new_store() as other:
        archive = f"docker-archive:{other.directory}/image.tar:localhost/some:name"
        store.tool("skopeo", "copy", "--quiet", f"containers-storage:{images['inference'].name}", archive)
        for status in (3, 0):
            stream.write_text(script.format(other.directory, status))
            stream.chmod(0o755)
            built = other.ours("build", "inference", CALLSPAN_IMAGE_STREAMS=str(tmp_path))
            assert built.status == (1 if status else 0), built.stderr
            assert bool(other.tool("buildah", "images", "--quiet")) is not bool(status)
        name, number = built.stdout.split()
        assert name == images["inference"].name
        same = other.ours("verify", f"containers-storage:{name}", "--digest", number)
        assert same.status == 0, same.stdout + same.stderr
        assert list(other.directory.glob("callspan-build.*")) == []


def test_in_the_image_of_all_is_what_is_installed(
    installed: Path, store: Store, inside: Callable[[str], list[str]]
) -> None:
    """But for what only a machine takes: manuals, completions, units, and the model as files, for the server has it."""
    of_programs = ["bin", "lib/callspan", "share/callspan"]
    there = store.tool(*inside("all"), "sh", "-c", f"cd /usr/local && find {' '.join(of_programs)} ! -type d")
    here = [path for part in of_programs for path in (installed / "usr/local" / part).rglob("*")]
    wanted = {str(path.relative_to(installed / "usr/local")) for path in here if path.is_symlink() or path.is_file()}
    left_out = ("share/callspan/models/", "share/callspan/launchd/")
    # Bytecode is the image's own.
    assert {path for path in there.splitlines() if not path.endswith(".pyc")} == {
        path for path in wanted if not path.startswith(left_out) and not path.endswith(".pyc")
    }


@pytest.mark.parametrize("name", ["orchestrator", "all"])
def test_a_project_is_begun_in_a_container(name: str, store: Store, inside: Callable[[str], list[str]]) -> None:
    command = inside(name)
    listed = store.tool(*command, "callspan", "init", "--list")
    templates = {readme.parent.name for readme in (ROOT / "templates").glob("*/README.md")}
    assert {line.split()[0] for line in listed.splitlines()} == templates
    store.tool(*command, "callspan", "init", "tools", "mytools")
    made = store.tool(*command, "stat", "--format", "%U %a", "/home/callspan/mytools/tools/alarm.py")
    assert made == "callspan 644"


def test_the_models_server_serves_as_nobody_special(store: Store, inside: Callable[[str], list[str]]) -> None:
    command = inside("inference")
    assert store.tool(*command, "id", "--user") == "10001"
    assert (
        store.tool(*command, "stat", "--format", "%a %u", "/run/callspan", "/home/callspan") == "700 10001\n700 10001"
    )
    # Nothing that it could change is its own, but for these.
    search = "find / -xdev -type d -writable ! -path '/proc*' ! -path '/sys*' ! -path '/dev*' 2>/dev/null || true"
    found = set(store.tool(*command, "sh", "-c", search).splitlines())
    assert "/run/callspan" in found
    assert found <= {"/tmp", "/var/tmp", "/run/lock", "/run/callspan", "/home/callspan", "/home/callspan/.cache"}
    server = subprocess.Popen([*command, "rust-inference"], env={**os.environ, **store.env}, stderr=subprocess.DEVNULL)
    try:
        health = [*command, "ipc", "health", "--json", "/run/callspan/inference.sock"]
        ready = until(
            lambda: (ran := run(*health, env={**os.environ, **store.env})).status == 0 and ran.stdout, "health"
        )
        os.kill(json.loads(ready)["pid"], signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()


def test_the_executor_says_which_isolation_is_in_force(store: Store, inside: Callable[[str], list[str]]) -> None:
    """In a chroot the kernel lets nobody make user namespaces, as most engines do in their containers."""
    command = inside("executor")
    env = {**os.environ, **store.env}
    doctor = run(*command, "python-executor", "doctor", "--json", env=env)
    assert doctor.status == 1
    told = json.loads(doctor.stdout)
    assert told["level"] == "reduced"
    states = {row["mechanism"]: row["state"] for row in told["mechanisms"]}
    assert (states["Landlock"], states["seccomp"], states["no new privileges"]) == ("active",) * 3
    assert states["namespaces"] == "missing"
    assert "in a container" in doctor.stderr
    # All of Python's bytecode is taken as it is, whatever the times of the sources have become: none goes by times.
    kinds = "import pathlib; print({f.read_bytes()[4] for p in ('lib', 'local/lib/callspan') "
    kinds += "for f in pathlib.Path('/usr', p).rglob('*.pyc')})"
    assert store.tool(*command, "python3", "-c", kinds) == "{1, 3}"
    # Less than that is not served with, unless it is asked for.
    refused = run(*command, "python-executor", "--isolation", "full", env=env)
    assert refused.status == 2
    assert "cannot be confined as asked: namespaces" in refused.stderr
