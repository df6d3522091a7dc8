"""Shells of the flake: which one is entered, with what, and what is said if it cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

ROOT = Path(__file__).resolve().parents[2]

NOT_FETCHED = "nix-direnv cannot be fetched, so the shell is evaluated at each entry"
# nix-direnv as a person may have it, by what .envrc knows of it.
NIX_DIRENV = """
nix_direnv_version() {{ [ "$1" = 3.2.0 ]; }}
use_flake() {{ echo "nix-direnv $*, in $(direnv_layout_dir)" >>"$NOTES"; {does}; }}
"""


def nix_direnv(workspace: Workspace, does: str) -> None:
    file = workspace.home / ".config/direnv/direnvrc"
    file.parent.mkdir(parents=True)
    file.write_text(NIX_DIRENV.format(does=does), "utf-8")


def test_an_unknown_shell_is_an_error_that_names_those_there_are(ready: Workspace) -> None:
    ready.variables["CALLSPAN_SHELL"] = "gpuu"
    told = ready.session()
    (what, how) = [word for word in told.own_words() if "error exit status" not in word]
    assert what.startswith("CALLSPAN_SHELL is gpuu, and there is no such shell; there are: default, gpu, ")
    assert how == "  fix: set it to one of them, in .envrc.local or by export; then: direnv reload"
    assert told.looks[0]["PATH"] == str(ready.tools)


@pytest.mark.parametrize("name", ["", "default|", ".*", "gpu metal", "default\ngpuu"])
def test_what_is_nearly_a_name_is_none(ready: Workspace, name: str) -> None:
    ready.variables["CALLSPAN_SHELL"] = name
    entered = ready.session().looks[0].get("CALLSPAN_IN_SHELL")
    assert entered == ("default" if name == "" else None)


def test_without_nix_a_shell_is_what_is_on_path_and_that_is_said(ready: Workspace) -> None:
    ready.variables["CALLSPAN_SHELL"] = "gpu"
    told = ready.session()
    (word,) = told.own_words()
    assert word.startswith("there is no nix here, so the shell gpu is what is on PATH; scripts/verify-workspace says")
    assert told.looks[0]["CALLSPAN_IN_SHELL"] == "gpu"


def test_nix_is_asked_for_the_shell_that_was_chosen(nix: Workspace) -> None:
    nix.variables["CALLSPAN_SHELL"] = "gpu"
    (inside,) = nix.session().looks
    assert inside["FROM_NIX"] == "gpu"
    assert inside["CALLSPAN_IN_SHELL"] == "gpu"
    (call,) = nix.noted()
    profile = nix.checkout / ".direnv/gpu/flake-profile"
    assert call == f"--extra-experimental-features nix-command flakes print-dev-env --profile {profile} .#gpu"


def test_who_has_nix_and_does_not_want_it_says_none(nix: Workspace) -> None:
    nix.variables["CALLSPAN_SHELL"] = "none"
    told = nix.session()
    assert (told.own_words(), nix.noted()) == ([], [])
    assert told.looks[0]["PATH"].split(":")[0] == str(nix.checkout / "bin")


def test_what_the_workspace_built_comes_before_the_tools_of_nix(nix: Workspace) -> None:
    (inside,) = nix.session().looks
    path = inside["PATH"].split(":")
    assert path[:3] == [str(nix.checkout / part) for part in ("bin", "target/release", ".venv/bin")]
    assert path[3:] == ["/nix/tools", str(nix.tools)]


def test_temporary_files_stay_where_they_were_and_no_directory_is_left(nix: Workspace) -> None:
    (inside,) = nix.session().looks
    assert inside["TMPDIR"] == str(nix.room / "tmp")
    assert "NIX_BUILD_TOP" not in inside
    assert not list((nix.room / "tmp").glob("nix-shell.*"))


def test_a_choice_in_the_checkout_holds_and_one_by_export_can_be_changed(nix: Workspace) -> None:
    script = "cd checkout; prompt; look; export CALLSPAN_SHELL=docs; direnv reload; prompt; look"
    first, second = nix.session(script + "; export CALLSPAN_SHELL=gpu; direnv reload; prompt; look").looks[:2]
    assert (first["FROM_NIX"], second["FROM_NIX"]) == ("default", "docs")
    nix.write(".envrc.local", "CALLSPAN_SHELL=metal\n")
    (inside,) = nix.session().looks
    assert (inside["FROM_NIX"], inside["CALLSPAN_IN_SHELL"]) == ("metal", "metal")


@pytest.mark.parametrize("name", ["flake.nix", "flake.lock", "nix/shells.nix"])
def test_a_changed_flake_is_evaluated_anew_and_an_unchanged_one_is_not(nix: Workspace, name: str) -> None:
    nix.session(f"cd checkout; prompt; prompt; echo one >>$NOTES; touch {name}; prompt; prompt")
    before, _, after = "\n".join(nix.noted()).partition("one")
    assert (before.count("print-dev-env"), after.count("print-dev-env")) == (1, 1)


def test_a_flake_that_is_broken_is_told_and_nothing_of_the_workspace_is_loaded(nix: Workspace) -> None:
    nix.variables["NIX_FAILS"] = "yes"
    told = nix.session()
    words = told.own_words()
    assert "error: the flake is broken" in words
    assert "the shell default could not be entered" in words
    assert "  fix: nix develop .#default says why; CALLSPAN_SHELL=none does without; then: direnv reload" in words
    assert told.looks[0]["PATH"] == str(nix.tools)


def test_without_a_network_nix_direnv_is_done_without_and_that_is_said(nix: Workspace) -> None:
    assert nix.session().own_words().count(NOT_FETCHED) == 1


def test_a_nix_direnv_that_is_there_is_used_and_nothing_is_fetched_or_said(nix: Workspace) -> None:
    nix.variables["CALLSPAN_SHELL"] = "gpu"
    nix_direnv(nix, "export IN_NIX_SHELL=impure; log_status 'nix-direnv: Using cached dev shell'")
    told = nix.session()
    assert told.own_words() == []
    assert nix.noted() == [f"nix-direnv .#gpu, in {nix.checkout}/.direnv/gpu"]


def test_that_nix_direnv_has_no_shell_to_offer_is_no_success(nix: Workspace) -> None:
    nix_direnv(nix, "export NIX_DIRENV_DID_FALLBACK=1")
    told = nix.session()
    assert "the shell default could not be entered" in told.own_words()
    assert "CALLSPAN_IN_SHELL" not in told.looks[0]


def test_that_nix_direnv_offers_an_old_shell_is_said(nix: Workspace) -> None:
    nix_direnv(nix, "export NIX_DIRENV_DID_FALLBACK=1 IN_NIX_SHELL=impure")
    told = nix.session()
    assert told.own_words() == [
        "the shell default does not evaluate any more, so this is the last one that did",
        "  fix: nix develop .#default says why",
    ]
    assert told.looks[0]["CALLSPAN_IN_SHELL"] == "default"


def test_a_nix_direnv_that_warns_of_itself_is_heard(nix: Workspace) -> None:
    nix_direnv(nix, "log_error 'nix-direnv: your bash is too old'; return 1")
    assert "nix-direnv: your bash is too old" in nix.session().own_words()


def test_what_is_fetched_is_pinned_by_its_hash(ready: Workspace) -> None:
    text = (ready.checkout / ".envrc").read_text("utf-8")
    version = re.search(r"nix_direnv_version (\S+)", text)
    assert version
    assert f"/nix-direnv/{version[1]}/direnvrc" in text
    assert re.search(r"sha256-[A-Za-z0-9+/]{43}=", text)


@pytest.mark.parametrize("page", ["environment.md", "nix.md"])
def test_the_guides_know_every_shell_and_no_other(ready: Workspace, page: str) -> None:
    shells = (ready.checkout / "scripts/shells.txt").read_text("utf-8")
    names = set(re.findall(r"^([a-z0-9-]+) +\|", shells, re.MULTILINE))
    text = (ROOT / "docs/guides" / page).read_text("utf-8")
    _, _, table = text.partition("\n| shell |")
    told = {
        name
        for row in table.partition("\n\n")[0].splitlines()[2:]
        for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }
    # Those who have no direnv have no use for it.
    assert told == (names - {"none"} if page == "nix.md" else names)
