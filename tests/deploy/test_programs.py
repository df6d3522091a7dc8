"""deploy/images/*: what they say and what they refuse, with stubs in the place of skopeo and its kin."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deploying import IMAGES, program
from harness import ROOT, run

PROGRAMS = ["base", "build", "push", "registry", "verify"]
# Debian's, for what the programs are made of; what is tested as missing or as a stub is not there.
STUBBED = ["buildah", "podman", "skopeo", "docker", "mmdebstrap", "docker-registry"]


def path_without_tools(tmp_path: Path) -> Path:
    """A PATH on which all is there but what builds, copies and serves images."""
    some = tmp_path / "some"
    some.mkdir(exist_ok=True)
    for directory in ("/usr/local/bin", "/usr/bin", "/bin"):
        for found in Path(directory).iterdir():
            if found.name not in STUBBED and not (some / found.name).exists():
                (some / found.name).symlink_to(found)
    return some


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_tells_every_option(name: str) -> None:
    ran = program(name, "--help")
    assert ran.status == 0
    assert ran.stderr == ""
    assert ran.stdout.startswith(f"usage: {name} ")
    taken = set(re.findall(r"^ +(--[a-z-]+)(?: \||\))|\| (--[a-z-]+)", (IMAGES / name).read_text(), re.MULTILINE))
    options = {option for pair in taken for option in pair if option}
    assert "--dry-run" in options
    for option in options:
        assert option in ran.stdout, option


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_option_is_named_with_its_cure(name: str) -> None:
    ran = program(name, "--frobnicate")
    assert (ran.status, ran.stdout) == (2, "")
    assert "--frobnicate" in ran.stderr
    assert f"{name} --help" in ran.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "what"),
    [
        ("build", ["--cpu"], "needs a value"),
        ("build", ["webserver"], "no option or image webserver"),
        ("build", ["--cpu", "native"], "says nothing"),
        ("build", ["--cpu", "x86 64"], "no processor's name"),
        ("build", ["--prebuilt", "/nonexistent"], "has no programs"),
        ("push", ["inference"], "an image and a registry"),
        ("push", ["webserver", "registry.example"], "no image webserver"),
        ("push", ["inference", "registry.example/me:1.0"], "no registry's name"),
        ("push", ["inference", "https://registry.example"], "no registry's name"),
        ("push", ["docker-archive:x", "registry.example"], "nothing says how"),
        ("push", ["inference", "registry.example", "--tag", "a:b"], "is no tag"),
        ("push", ["inference", "registry.example", "--ttl", "2h"], "most registries keep them"),
        ("push", ["inference", "ttl.sh", "--ttl", "soon"], "is no time"),
        ("push", ["inference", "ttl.sh", "--ttl", "2h", "--tag", "a"], "the tag is the time"),
        ("push", ["inference", "registry.example", "--ttl-by-tag"], "give --ttl"),
        ("push", ["inference", "registry.example", "--plain-http"], "in the clear"),
        ("push", ["inference", "127.0.0.1.example.com", "--plain-http"], "in the clear"),
        ("registry", ["--port", "70000"], "is no port"),
        ("registry", ["--port", "0"], "is no port"),
        ("registry", ["--dir", "/tmp/a b"], "other characters"),
        ("registry", [], "neither HOME nor XDG_DATA_HOME"),
        ("verify", [], "which image"),
        ("verify", ["a", "b"], "one image"),
        ("verify", ["a", "--digest", "sha256:12"], "no digest"),
        ("verify", ["registry.example/a", "--plain-http"], "registries of this machine"),
        ("verify", ["127.0.0.1.example.com/a", "--plain-http"], "registries of this machine"),
        ("base", ["--suite", "buzz"], "no Debian"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_done(
    name: str, arguments: list[str], what: str, stub: Callable[..., Path], tmp_path: Path
) -> None:
    stubs = stub(*STUBBED)
    nowhere = {"HOME": "", "XDG_DATA_HOME": ""} if (name, arguments) == ("registry", []) else {}
    ran = program(name, *arguments, env={"PATH": f"{stubs}:{path_without_tools(tmp_path)}"} | nowhere)
    assert (ran.status, ran.stdout) == (2, "")
    assert what in ran.stderr
    assert "\n  fix: " in ran.stderr
    assert not (stubs / "called.log").exists()


@pytest.mark.parametrize("flag", [["--base", "a"], ["--builder", "a"], ["--prebuilt", "/"], ["--fresh"]])
def test_what_means_nothing_for_the_flakes_images_is_refused(flag: list[str], tmp_path: Path) -> None:
    ran = program("build", "all", *flag, env={"CALLSPAN_IMAGE_STREAMS": str(tmp_path)})
    assert (ran.status, ran.stdout) == (2, "")
    assert f"{flag[0]}" in ran.stderr
    assert "\n  fix: leave them out" in ran.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("base", []),
        ("build", ["all", "--base", "a b", "--fresh"]),
        ("push", ["executor", "registry.example/me"]),
        ("registry", ["--dir", "/nonexistent/registry", "--tls"]),
        ("verify", ["registry.example/callspan-all:1", "--same-as", "container:x", "--digest", "sha256:" + "0" * 64]),
    ],
)
def test_a_dry_run_prints_commands_and_runs_none(
    name: str, arguments: list[str], stub: Callable[..., Path], tmp_path: Path
) -> None:
    stubs = stub(*STUBBED)
    ran = program(name, *arguments, "--dry-run", env={"PATH": f"{stubs}:{path_without_tools(tmp_path)}"})
    assert ran.status == 0, ran.stderr
    assert any(tool in ran.stdout for tool in STUBBED)
    assert not (stubs / "called.log").exists()
    assert not Path("/nonexistent").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "missing"),
    [
        ("base", [], "mmdebstrap"),
        ("build", [], "buildah"),
        ("push", ["all", "registry.example", "--tag", "1"], "skopeo"),
        ("registry", [], "docker-registry"),
        ("verify", ["registry.example/callspan-all:1"], "skopeo"),
    ],
)
def test_a_missing_program_is_named_with_its_package(
    name: str, arguments: list[str], missing: str, tmp_path: Path
) -> None:
    env = {"PATH": str(path_without_tools(tmp_path)), "XDG_DATA_HOME": str(tmp_path / "data")}
    # Elsewhere: in the checkout it may have been fetched.
    ran = program(name, *arguments, env=env, cwd=ROOT if name == "build" else tmp_path)
    assert ran.status == (2 if name == "verify" else 1)
    assert f"apt-get install {missing}" in ran.stderr or f"apt-get install buildah {missing}" in ran.stderr
    assert not (tmp_path / "data").exists()


def test_nothing_is_done_where_nothing_says_what_the_images_are(tmp_path: Path) -> None:
    """Outside of a checkout, or with a CALLSPAN_BUILD_INFO that is none."""
    stranger = tmp_path / "build-info.json"
    stranger.write_text("{}")
    for name, arguments, status in [
        ("build", ["all"], 1),
        ("push", ["all", "registry.example"], 1),
        ("verify", ["dir:/nonexistent/callspan-all"], 2),
    ]:
        for env in ({}, {"CALLSPAN_BUILD_INFO": str(stranger)}):
            ran = program(name, *arguments, *(["--dry-run"] * (status == 1)), env=env, cwd=tmp_path)
            assert (ran.status, ran.stdout) == (status, ""), (name, env)
            assert "\n  fix: " in ran.stderr
            assert "scripts/build-info: No such file" not in ran.stderr


def image_of(configuration: str, directory: Path) -> str:
    """An image with no layers, as skopeo reads it from files."""
    number = hashlib.sha256(configuration.encode()).hexdigest()
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": f"sha256:{number}"}
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config | {"size": len(configuration)}, "layers": []}
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / number).write_text(configuration)
    return f"dir:{directory}"


def test_what_no_honest_builder_makes_is_never_called_the_same(tmp_path: Path) -> None:
    right = json.dumps({"config": {"Labels": json.loads(run(ROOT / "scripts" / "build-info").stdout)["images"]["all"]}})
    same = program("verify", image_of(right, tmp_path / "right"), "--name", "all")
    assert same.status == 0, same.stdout + same.stderr
    strange = [
        "",
        "nonsense",
        "[]",
        '{"config": "x"}',
        '{"config": {"Labels": ["a"]}}',
        '{"config": {"Labels": {"a": 7}}}',
    ]
    for number, configuration in enumerate([*strange, right + right]):
        ran = program("verify", image_of(configuration, tmp_path / str(number)), "--name", "all")
        assert (ran.status, ran.stdout) == (2, ""), configuration
        assert ran.stderr.startswith("error: "), ran.stderr
        assert "\n  fix: " in ran.stderr
    for number, configuration in enumerate(["{}", "null", '{"config": {"Labels": null}}']):
        ran = program("verify", image_of(configuration, tmp_path / f"bare-{number}"), "--name", "all")
        assert (ran.status, ran.stderr) == (1, ""), configuration


def test_the_labels_of_a_build_are_those_of_build_info() -> None:
    info = json.loads(run(ROOT / "scripts" / "build-info").stdout)
    for cpu in ("", "znver2"):
        extra = ["--cpu", cpu] if cpu else []
        ran = program("build", "--dry-run", *extra, env={"CONTAINER_TOOL": "buildah"})
        compiles, *builds = [shlex.split(line) for line in ran.stdout.splitlines() if " build " in line]
        # Compiled once for all of them, and for the processor.
        assert compiles[compiles.index("--target") + 1] == "compiled"
        assert (f"TARGET_CPU={cpu}" in compiles) == bool(cpu)
        compiled = f"BUILT={compiles[compiles.index('--tag') + 1]}"
        assert [line[line.index("--target") + 1] for line in builds] == ["inference", "executor", "orchestrator", "all"]
        for line in builds:
            wanted = dict(info["images"][line[line.index("--target") + 1]])
            if cpu:
                wanted["org.opencontainers.image.description"] += f" (compiled for {cpu})"
            given = [line[place + 1] for place, word in enumerate(line) if word == "--label"]
            assert dict(label.split("=", 1) for label in given) == wanted
            assert line[line.index("--timestamp") + 1] == str(info["epoch"])
            assert compiled in line
            assert line[line.index("--tag") + 1].endswith(info["version"] + (f"-{cpu}" if cpu else ""))


def test_each_program_stands_alone_outside_of_any_checkout(tmp_path: Path, stub: Callable[..., Path]) -> None:
    """As the flake wraps it: a file by itself, with what there is to know in CALLSPAN_BUILD_INFO."""
    info = tmp_path / "build-info.json"
    info.write_text(run(ROOT / "scripts" / "build-info").stdout)
    streams = tmp_path / "streams"
    streams.mkdir()
    shutil.copy("/bin/true", streams / "inference")
    env = {"PATH": f"{stub(*STUBBED)}:/usr/bin:/bin", "HOME": str(tmp_path), "CALLSPAN_BUILD_INFO": str(info)}
    for name, arguments, expected in [
        ("build", ["inference"], f"{streams}/inference >WORK/image.tar\nskopeo copy --quiet docker-archive:"),
        ("push", ["all", "registry.example"], "docker://registry.example/callspan-all:"),
        ("registry", [], "addr: 127.0.0.1:5000"),
        ("verify", ["registry.example/callspan-all"], "skopeo inspect"),
    ]:
        alone = shutil.copy(IMAGES / name, tmp_path / name)
        own = env | ({"CALLSPAN_IMAGE_STREAMS": str(streams)} if name == "build" else {})
        ran = run(alone, *arguments, "--dry-run", env=own, cwd=tmp_path)
        assert ran.status == 0, ran.stderr
        assert expected in ran.stdout


@pytest.mark.parametrize(("engine", "prefix"), [("podman", ""), ("docker", "sha256:")])
def test_a_running_containers_image_is_asked_of_its_engine(
    engine: str, prefix: str, stub: Callable[..., Path], tmp_path: Path
) -> None:
    """Both tell an image's id, the one with its kind before it."""
    labels = json.loads(run(ROOT / "scripts" / "build-info").stdout)["images"]["executor"]
    number = "ab" * 32
    told = tmp_path / "image.json"
    body = f'case $1 in container) echo {prefix}{number} ;; image) [ "$3" = {number} ] && cat {told} ;; esac'
    env = {"PATH": f"{stub(engine, body=body)}:{path_without_tools(tmp_path)}"}
    told.write_text(json.dumps([{"Config": {"Labels": labels}}]))
    same = program("verify", "container:mine", "--digest", f"sha256:{number}", env=env)
    assert same.status == 0, same.stderr
    assert f"sha256:{number}" in same.stdout
    # A label that would act on a terminal is shown as what it is.
    told.write_text(json.dumps([{"Config": {"Labels": labels | {"org.opencontainers.image.version": "\x1b[2J9"}}}]))
    other = program("verify", "container:mine", "--name", "executor", env=env)
    assert other.status == 1
    assert "?[2J9" in other.stdout
    assert "\x1b" not in other.stdout
