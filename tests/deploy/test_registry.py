"""Pushing, and verifying what was pushed, with a registry of this machine that wants a password and speaks TLS."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploying import IMAGES
from harness import run, until
from stores import Image, Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="images are built here as root")


@dataclass
class Registry:
    directory: Path
    port: int
    tls: bool

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def believing(self) -> list[str]:
        return ["--cert-dir", str(self.directory / "certs")] if self.tls else ["--plain-http"]

    @property
    def credentials(self) -> dict[str, str]:
        return {"REGISTRY_AUTH_FILE": str(self.directory / "auth.json")}

    def start(self) -> subprocess.Popen[bytes]:
        command = [IMAGES / "registry", "--dir", self.directory, "--port", str(self.port), *(["--tls"] * self.tls)]
        with (self.directory.parent / "registry.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: self.answers() or process.poll() is not None, "the registry")
            assert process.poll() is None, (self.directory.parent / "registry.log").read_text()
        except AssertionError:
            process.kill()
            raise
        return process

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module", params=[True, False], ids=["tls", "plain"])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    # Hundreds of megabytes, which are not to stay with pytest's own.
    with tempfile.TemporaryDirectory(prefix="callspan-registry-", dir="/var/tmp") as directory:
        registry = Registry(Path(directory) / "kept", free_port(), request.param)
        process = registry.start()
        yield registry
        process.terminate()
        process.wait(30)


def test_what_is_pushed_is_what_was_built(store: Store, images: dict[str, Image], registry: Registry) -> None:
    pushed = store.ours("push", "inference", f"{registry.host}/me", *registry.believing, **registry.credentials)
    assert pushed.status == 0, pushed.stderr
    name, _, digest = pushed.stdout.strip().partition("@")
    assert name.startswith(f"{registry.host}/me/callspan-inference:")
    built = f"containers-storage:{images['inference'].name}"
    for expectation in ([], ["--digest", digest], ["--digest", images["inference"].id], ["--same-as", built]):
        same = store.ours("verify", name, *expectation, *registry.believing, **registry.credentials)
        assert same.status == 0, same.stdout + same.stderr
    other = "sha256:" + "0" * 64
    differs = store.ours("verify", name, "--digest", other, *registry.believing, **registry.credentials)
    assert differs.status == 1
    assert other in differs.stdout


def test_a_changed_label_is_shown_and_a_changed_file_too(
    store: Store, images: dict[str, Image], registry: Registry
) -> None:
    where = f"{registry.host}/changed"
    for change, expectation, told in [
        (["config", "--label", "org.opencontainers.image.revision=deadbeef"], [], "revision"),
        (["copy", "{}", "/etc/hostname", "/etc/motd"], ["--same-as"], "id"),
    ]:
        container = store.tool("buildah", "from", "--pull-never", images["inference"].name)
        words = [container if word == "{}" else word for word in change]
        store.tool("buildah", *words, *([] if "{}" in change else [container]))
        store.tool("buildah", "commit", "--rm", container, "localhost/callspan-changed:1")
        source = ["containers-storage:localhost/callspan-changed:1", where, "--as", "callspan-inference", "--tag", "1"]
        pushed = store.ours("push", *source, *registry.believing, **registry.credentials)
        assert pushed.status == 0, pushed.stderr
        reference = f"{where}/callspan-inference:1"
        if expectation:
            # Its labels are right: only its id gives it away.
            same = store.ours("verify", reference, *registry.believing, **registry.credentials)
            assert same.status == 0, same.stdout + same.stderr
            expectation = [*expectation, f"containers-storage:{images['inference'].name}"]
        differs = store.ours("verify", reference, *expectation, *registry.believing, **registry.credentials)
        assert differs.status == 1
        assert re.search(rf"{told}\s", differs.stdout)
        assert differs.stderr == ""


def test_who_has_no_password_neither_writes_nor_reads(
    store: Store, images: dict[str, Image], registry: Registry
) -> None:
    assert images
    refused = store.ours("push", "inference", registry.host, *registry.believing)
    assert (refused.status, refused.stdout) == (1, "")
    assert "skopeo login" in refused.stderr
    unread = store.ours("verify", f"{registry.host}/me/callspan-inference:0.1.0", *registry.believing)
    assert (unread.status, unread.stdout) == (2, "")


def test_who_does_not_believe_its_certificate_is_not_served(
    store: Store, images: dict[str, Image], registry: Registry
) -> None:
    """Nor, without TLS, who does not say that there is none."""
    assert images
    refused = store.ours("push", "inference", registry.host, **registry.credentials)
    assert refused.status == 1
    assert re.search("certificate|HTTP response to HTTPS", refused.stderr)


def test_a_time_to_live_is_a_tag(store: Store, images: dict[str, Image], registry: Registry) -> None:
    assert images
    ttl = ["--ttl", "2h", "--ttl-by-tag"]
    pushed = store.ours("push", "inference", registry.host, *ttl, *registry.believing, **registry.credentials)
    assert pushed.status == 0, pushed.stderr
    assert pushed.stdout.startswith(f"{registry.host}/callspan-inference:2h@sha256:")


def test_what_is_not_to_be_reached_is_neither_the_same_nor_another(store: Store, registry: Registry) -> None:
    for reference in (
        f"{registry.host}/nobody/callspan-inference:1",
        f"127.0.0.1:{free_port()}/callspan-inference:1",
        "containers-storage:localhost/callspan-nothing:1",
        "oci:/nonexistent",
    ):
        unread = store.ours("verify", reference, *registry.believing, **registry.credentials)
        assert (unread.status, unread.stdout) == (2, ""), reference


def test_its_secrets_are_its_owners_alone_and_outlive_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "kept", free_port(), tls=True)
    said = []
    for _ in range(2):
        process = registry.start()
        process.terminate()
        process.wait(30)
        names = ("password", "htpasswd", "auth.json", "registry.key", "certs/ca.crt", "config.yml")
        said.append([(registry.directory / name).read_bytes() for name in names])
    assert said[0] == said[1]
    for path in [registry.directory, *registry.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    # Of all that is running here, only what is on this machine reaches it.
    assert "addr: 127.0.0.1:" in (registry.directory / "config.yml").read_text()


def test_two_do_not_serve_one_directory(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "kept", free_port(), tls=False)
    process = registry.start()
    try:
        kept = (registry.directory / "config.yml").read_bytes()
        second = run(IMAGES / "registry", "--dir", registry.directory, "--port", free_port())
        assert second.status == 1
        assert f"another registry serves {registry.directory}" in second.stderr
        assert (registry.directory / "config.yml").read_bytes() == kept
    finally:
        process.terminate()
        process.wait(30)
