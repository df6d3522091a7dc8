"""The flake, evaluated for every system against the stand-ins beside this file. What they are worth is shown by
mistakes that are planted: each must be found. Nothing is built, and nothing is fetched but a nix, where there is none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = {"x86_64-linux", "aarch64-linux", "aarch64-darwin"}
NOT_COPIED = b"of no checkout"
CHECK = ("flake", "check", "--no-build", "--all-systems", "@")

# A file, what is replaced in it, by what, and an expression for the error.
PLANTED = {
    "a misspelt package": ("shells.nix", "pkgs.socat", "pkgs.socatt", "attribute 'socatt' missing"),
    "a misspelt Haskell library": ("shells.nix", "libraries.aeson", "libraries.aesonn", "'aesonn' missing"),
    "a misspelt Python package": ("packages.nix", "python.tzdata", "python.tzdatta", "'tzdatta' missing"),
    "a misspelt CUDA package": ("packages.nix", "cuda.cccl", "cuda.ccll", "'ccll' missing"),
    "a misspelt function of lib": ("images.nix", "lib.optionalString", "lib.optional_", "'optional_' missing"),
    "a function that crane has not": ("checks.nix", "craneLib.cargoFmt", "craneLib.format", "'format' missing"),
    "a dependency that is no argument": ("orchestrator.nix", "\n  random,", "", "undefined variable 'random'"),
    "an app's file that is not there": ("apps.nix", "images/push", "images/pushed", "No such file|does not exist"),
    "a source that is not there": ("sources.nix", "../bench/sandbox_client.rs", "../bench/client.rs", "does not exist"),
    "sources without the lock file": ("sources.nix", "    ../Cargo.lock\n", "", "its source has no Cargo.lock"),
    "an image without labels": ("build-info.nix", "    executor = ", "    executioner = ", "'executor' missing"),
    "an image without a program": ("images.nix", 'all = "callspan";', "", "'all' missing"),
    "a label of a number": ("build-info.nix", 'title = "callspan-${image}"', "title = lib.title", "'title' missing"),
    "a system that nixpkgs has not": ("../flake.nix", '"aarch64-darwin"', '"x86_64-darwin"', "dropped support"),
    "a Linux package on macOS": ("shells.nix", "pkgs.uv", "pkgs.strace", "not available on aarch64-darwin"),
    "CUDA among what is free": ("default.nix", "(cudaPkgs.callspan", "(pkgs.callspan", "unfree license"),
    "an argument that a builder has not": ("images.nix", "extraCommands", "extraCommand", "unexpected argument"),
    "a tag that is none": ("images.nix", '"-${cpu}"', '" for ${cpu}"', "is no tag"),
    "a variable that is a number": ("shells.nix", 'NATIVE = "0"', "NATIVE = 0", "assertion"),
    "an app without a program": ("packages.nix", 'mainProgram = "callspan";', "", "has no mainProgram"),
    "a template that is not there": ("templates.nix", '"/${name}"', '"/${name}-new"', "non-existent|not exist"),
    "import from derivation": (
        "apps.nix",
        "readFile file",
        'readFile (pkgs.writeText "a" "")',
        "drv' is not|import-from",
    ),
    "an overlay that is none": ("overlay.nix", "final: _prev: {", "{ final = { }; } // {", "overlay"),
    "a slip of the pen": ("shells.nix", "default = { };", "default = { }", "syntax error"),
}


@pytest.fixture(scope="session")
def nix() -> str:
    found = subprocess.run([ROOT / "scripts/check-flake", "--nix"], capture_output=True, text=True, check=False)
    if found.returncode and not Path("/etc/debian_version").exists():
        pytest.skip(found.stderr)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Git knows of the checkout, and beside it what it does not."""
    copy = tmp_path_factory.mktemp("flake") / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for name in ("target/debug/ipc", ".venv/pyvenv.cfg", "python-executor/python/callspan/__pycache__/a.pyc", ".env"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(NOT_COPIED)
    return copy


Done = subprocess.CompletedProcess[str]


def evaluate(nix: str, flake: Path | str, *arguments: str, store: Path | None = None) -> Done:
    environment = dict(os.environ) | ({"KEEP_STORE": str(store)} if store else {})
    return subprocess.run(
        [ROOT / "nix/test/evaluate", nix, str(flake), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def told(nix: str, flake: Path | str, output: str, *how: str) -> object:
    done = evaluate(nix, flake, "eval", "--json", *how, f"@#{output}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_output_evaluates_for_every_system(nix: str, tree: Path) -> None:
    done = evaluate(nix, tree, *CHECK)
    assert done.returncode == 0, done.stderr
    for kind in ("packages", "checks", "devShells", "apps", "formatter"):
        assert set(re.findall(rf"^checking .*\b{kind}\.([\w-]+)", done.stderr, re.MULTILINE)) == SYSTEMS, kind


def test_the_outputs_are_those_that_are_promised(nix: str, tree: Path) -> None:
    def names(output: str) -> dict[str, set[str]]:
        each = told(nix, tree, output, "--apply", "builtins.mapAttrs (_: builtins.attrNames)")
        return {system: set(listed) for system, listed in each.items()}

    packages = names("packages")
    programs = {"ipc", "rust-inference", "python-executor", "orchestrator", "callspan", "default"}
    images = {f"image-{name}" for name in ("inference", "executor", "orchestrator", "all")}
    v4 = {"rust-inference-v4", "python-executor-v4", "callspan-v4"} | {f"{image}-v4" for image in images}
    assert packages["x86_64-linux"] == programs | images | v4 | {"rust-inference-cuda"}
    assert packages["aarch64-linux"] == programs | images
    assert packages["aarch64-darwin"] == programs | {"rust-inference-metal"}
    apps = {"default", "build-images", "push", "registry", "verify", "docs-build", "docs-serve", "docs-check"}
    assert names("apps")["x86_64-linux"] == apps
    # Nix takes an app of any type.
    for each in told(nix, tree, "apps").values():
        for app in each.values():
            assert app["type"] == "app"
            assert app["program"].startswith("/nix/store/")
            assert app["meta"]["description"]
    # Without Nix, CALLSPAN_SHELL is checked against this list; its `none` is no shell of the flake.
    listed = re.findall(r"^([a-z][a-z0-9-]*) +\|", (ROOT / "scripts/shells.txt").read_text("utf-8"), re.MULTILINE)
    assert set(listed) - {"none"} == set.union(*names("devShells").values())


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_found(nix: str, tree: Path, tmp_path: Path, mistake: str) -> None:
    name, old, new, error = PLANTED[mistake]
    copy = tmp_path / "tree"
    shutil.copytree(tree, copy, copy_function=os.link)
    file = copy / "nix" / name
    text = file.read_text("utf-8")
    assert old in text
    file.unlink()
    file.write_text(text.replace(old, new), "utf-8")
    done = evaluate(nix, copy, *CHECK)
    assert done.returncode != 0
    assert re.search(error, done.stderr), done.stderr


def test_build_info_is_what_the_script_says(nix: str, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    # A flake whose inputs are not locked is not told its revision.
    flake = f"git:{clone}"
    locks = json.loads(evaluate(nix, flake, "flake", "metadata", "--json", "@").stdout)["locks"]
    (clone / "flake.lock").write_text(json.dumps(locks))
    git = ["git", "-C", clone, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "add", "flake.lock"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Lock"], check=True)
    for changed in (False, True):
        if changed:
            (clone / "README.md").write_text("changed")
        script = json.loads(subprocess.check_output([clone / "scripts/build-info"], text=True))
        assert script["dirty"] is changed
        assert told(nix, flake, "lib.buildInfo") == script


def test_the_shells_have_the_libraries_that_wheels_look_for(nix: str, tree: Path) -> None:
    files = [path for path in (Path(sys.prefix) / "lib").rglob("*.so*") if path.is_file()]
    listed = subprocess.check_output(["readelf", "--dynamic", *files], text=True)
    needed = set(re.findall(r"\(NEEDED\).*\[([^]]+)\]", listed))
    assert "libc.so.6" in needed
    # Those that a wheel brings, and those that Python itself needs.
    needed -= {path.name for path in files}
    needed = {name for name in needed if not re.match(r"(ld-linux.*|lib(c|m|dl|rt|util|pthread))\.so", name)}
    given = told(nix, tree, "devShells.x86_64-linux.default.arguments.env.LD_LIBRARY_PATH")
    packages = {"libgcc_s.so.1": "cc", "libstdc++.so.6": "cc", "libz.so.1": "zlib"}
    assert [name for name in sorted(needed) if not re.search(rf"-{packages.get(name, name)}[-\d.]*/lib", given)] == []


def test_images_are_copied_with_a_policy_of_ones_own_or_else_with_skopeos(nix: str, tree: Path, tmp_path: Path) -> None:
    done = evaluate(nix, tree, "eval", "--json", "@#apps.x86_64-linux", store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    # A derivation's strings are written as JSON's are.
    (text,) = (
        json.loads(json.loads(argument))["text"]
        for path in (tmp_path / "store/nix/store").glob("*-skopeo.drv")
        for argument in re.findall(r'\("arguments",("(?:[^"\\]|\\.)*")\)', path.read_text("utf-8"))
    )
    script = re.sub(r"exec \S+", "echo", text).replace("/etc/containers", "$HOME/etc")
    assert script != text
    for file, given in (("none", True), (".config/containers/policy.json", False), ("etc/policy.json", False)):
        home = tmp_path / file.replace("/", "-")
        (home / file).parent.mkdir(parents=True)
        (home / file).touch()
        said = subprocess.check_output(["bash", "-euc", script, "skopeo", "copy"], env={"HOME": str(home)}, text=True)
        assert bool(re.fullmatch(r"--policy /nix/store/\S+/default-policy.json copy\n", said)) is given, said
        assert said.endswith("copy\n")


def test_the_user_of_an_image_owns_its_home_and_its_sockets_place_alone(nix: str, tree: Path, tmp_path: Path) -> None:
    image = told(
        nix,
        tree,
        "packages.x86_64-linux.image-all.arguments",
        "--apply",
        "image: { inherit (image) config extraCommands fakeRootCommands; all = builtins.attrNames image; }",
    )
    assert not {"uid", "gid"} & set(image["all"])
    # As it is made: with no rights first, then as root; here of the latter only what is given to whom.
    script = image["extraCommands"] + 'chown() { printf "%s\\n" "$@"; }\n' + image["fakeRootCommands"]
    given = subprocess.check_output(["bash", "-euc", script], cwd=tmp_path, text=True).split()
    assert given == ["-R", image["config"]["User"], "home/callspan", "run/callspan"]
    modes = {name: (tmp_path / name).stat().st_mode & 0o7777 for name in ("home/callspan", "run/callspan", "tmp")}
    assert modes == {"home/callspan": 0o700, "run/callspan": 0o700, "tmp": 0o1777}
    assert image["config"]["WorkingDir"] == "/home/callspan"


def source(nix: str, tree: Path, tmp_path: Path, name: str, kind: str = "packages") -> Path:
    done = evaluate(nix, tree, "eval", "--raw", f"@#{kind}.x86_64-linux.{name}.arguments.src", store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    return tmp_path / "store" / done.stdout.lstrip("/")


def test_the_sources_hold_what_cargo_and_the_compiler_read(nix: str, tree: Path, tmp_path: Path) -> None:
    seen = source(nix, tree, tmp_path, "ipc")
    metadata = json.loads(
        subprocess.check_output(
            ["cargo", "metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"], cwd=seen, text=True
        )
    )
    targets = [Path(target["src_path"]) for package in metadata["packages"] for target in package["targets"]]
    assert len(targets) > 10
    assert [path for path in targets if not path.is_file()] == []
    included = 0
    for file in seen.rglob("*.rs"):
        for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', file.read_text("utf-8")):
            included += 1
            assert (file.parent / name).is_file(), f"{file.relative_to(seen)} includes {name}"
    assert included > 10
    # By a macro, and read while building.
    for name in ("models/default/model.safetensors", "ipc/proto/callspan/v1/callspan.proto"):
        assert (seen / name).is_file()


def test_the_sources_of_checks_hold_what_tests_read(nix: str, tree: Path, tmp_path: Path) -> None:
    seen = source(nix, tree, tmp_path, "rust-tests", "checks")
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    places = ("", "ipc/", "models/default/", "rust-inference/", "rust-inference/testdata/")
    read = set()
    for crate in ("ipc", "rust-inference"):
        for test in (tree / crate).rglob("*.rs"):
            for name in re.findall(r'"([\w./-]+\.\w+)"', test.read_text("utf-8")):
                read |= {place + name for place in places} & files
    assert len(read) > 10
    assert [name for name in sorted(read) if not (seen / name).is_file()] == []


def test_the_sources_hold_nothing_else(nix: str, tree: Path, tmp_path: Path) -> None:
    seen = source(nix, tree, tmp_path, "ipc")
    assert {path.name for path in seen.iterdir()} <= {".cargo", "Cargo.lock", "Cargo.toml"} | {
        "bench",
        "docs",
        "ipc",
        "models",
        "python-executor",
        "rust-inference",
    }
    source(nix, tree, tmp_path, "orchestrator")
    for output in ("python-executor.arguments.postInstall", "callspan.arguments.postBuild"):
        done = evaluate(nix, tree, "eval", "--raw", f"@#packages.x86_64-linux.{output}", store=tmp_path / "store")
        assert done.returncode == 0, done.stderr
    # Besides the flakes themselves: those of Rust, Haskell, Python, the tools, the templates and the documents.
    sources = [path for path in (tmp_path / "store/nix/store").glob("*-source") if not (path / "flake.nix").exists()]
    assert len(sources) == 6
    for file in (file for each in sources for file in each.rglob("*")):
        assert not file.is_file() or file.read_bytes() != NOT_COPIED, file


def test_python_executor_has_beside_it_what_it_looks_for(nix: str, tree: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    done = evaluate(
        nix, tree, "eval", "--raw", "@#packages.x86_64-linux.python-executor.arguments.postInstall", store=store
    )
    assert done.returncode == 0, done.stderr
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (tmp_path / "env" / packages / "pydantic").mkdir(parents=True)
    # With the Python of this test in place of nixpkgs'.
    script = re.sub(r"/nix/store/\S+-python3-env-0", f"{tmp_path}/env", done.stdout)
    script = re.sub(r"/nix/store/\S+/bin/python3", sys.executable, script)
    script = script.replace("lib/python3/site-packages", packages).replace("/nix/store", f"{store}/nix/store")
    subprocess.run(["bash", "-euc", script], check=True, env=dict(os.environ) | {"out": str(out)})
    library = out / "lib/callspan"
    assert (library / "venv/pyvenv.cfg").is_file()
    assert (library / "venv" / packages / "pydantic").is_dir()
    assert list((library / "python/callspan/__pycache__").glob("runtime.*.pyc"))
    tools = ROOT / "python-executor/tools"
    assert {path.name for path in tools.glob("*.py")} == {
        path.name for path in (out / "share/callspan/tools").glob("*")
    }


def test_all_together_have_their_manuals_completions_and_places(nix: str, tree: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = evaluate(nix, tree, "eval", "--raw", "@#packages.x86_64-linux.callspan.arguments.postBuild", store=store)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    for place in ("bin/callspan", "share/callspan/tools"):
        (out / place).mkdir(parents=True)
    (out / "bin/callspan").rmdir()
    (out / "bin/callspan").touch()
    script = 'makeWrapper() { printf "%s\\n" "$@"; }\n' + done.stdout.replace("/nix/store", f"{store}/nix/store")
    wrapped = subprocess.check_output(["bash", "-euc", script], env=dict(os.environ) | {"out": str(out)}, text=True)
    program, wrapper, *variables = wrapped.splitlines()
    assert program.endswith("/bin/callspan")
    assert wrapper == f"{out}/bin/callspan"
    given = dict(zip(variables[1::3], variables[2::3], strict=True))
    assert given["CALLSPAN_BIN_DIR"] == f"{out}/bin"
    assert {path.name for path in Path(given["CALLSPAN_TEMPLATES"]).iterdir()} >= {"tools", "client-python"}
    listed = {path.relative_to(out / "share") for path in (out / "share").rglob("*") if path.is_file()}
    wanted = {Path("man/man1") / path.name for path in (ROOT / "docs/man").glob("*.1")}
    for name in ("callspan", "ipc", "python-executor", "rust-inference"):
        wanted |= {Path("bash-completion/completions") / name, Path("zsh/site-functions") / f"_{name}"}
        wanted.add(Path("fish/vendor_completions.d") / f"{name}.fish")
    assert listed == wanted


def test_the_haskell_dependencies_are_those_of_cabal(nix: str, tree: Path) -> None:
    cabal = (ROOT / "haskell-orchestrator/callspan.cabal").read_text("utf-8")
    stanzas = re.split(r"^(?=\S)", cabal, flags=re.MULTILINE)
    for kind, argument in {"library": "library", "executable": "executable", "test-suite": "test"}.items():
        stanza = next(stanza for stanza in stanzas if stanza.startswith(kind))
        wanted = set(re.findall(r"^    , ([\w-]+)", stanza, re.MULTILINE)) - {"callspan"}
        found = told(
            nix,
            tree,
            f"packages.x86_64-linux.orchestrator.arguments.{argument}HaskellDepends",
            "--apply",
            "map (package: package.pname)",
        )
        assert set(found) == wanted, kind


def test_every_name_of_nixpkgs_has_a_file_and_is_used(nix: str, tmp_path: Path) -> None:
    plain = [nix, "--extra-experimental-features", "nix-command", "--store", "dummy://", "eval", "--json", "--file"]
    names = json.loads(
        subprocess.check_output(
            [*plain, ROOT / "nix/test/nixpkgs/names.nix"], env=dict(os.environ) | {"HOME": str(tmp_path)}, text=True
        )
    )
    text = "".join(path.read_text("utf-8") for path in [ROOT / "flake.nix", *(ROOT / "nix").glob("*.nix")])
    for group, packages in names.items():
        for name, about in packages.items():
            assert re.fullmatch(r"pkgs/[\w./-]+\.nix", about["file"]), f"{group}: {name}"
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), f"{group}: {name} is not used"
