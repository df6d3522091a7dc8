"""Entering and leaving the workspace, without Nix."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace


def test_entering_brings_the_programs_and_leaving_takes_them_away(ready: Workspace) -> None:
    told = ready.session("look; cd checkout; prompt; look; cd ..; prompt; look")
    before, inside, after = told.looks
    assert inside["PATH"].split(":")[0] == str(ready.checkout / "bin")
    assert inside["VIRTUAL_ENV"] == str(ready.checkout / ".venv")
    assert inside["CALLSPAN_IN_SHELL"] == "default"
    for look in (before, after):
        assert look["PATH"] == str(ready.tools)
        assert "VIRTUAL_ENV" not in look
        assert "CALLSPAN_IN_SHELL" not in look


def test_what_was_built_comes_in_order(ready: Workspace) -> None:
    built = ready.checkout / "dist-newstyle/build/linux/ghc-9.0.2/callspan-0.1.0/x/callspan/build/callspan"
    plan = {"install-plan": [{"bin-file": f"{built}/callspan"}, {"bin-file": "/t/spec/build/spec/spec"}]}
    ready.write("dist-newstyle/cache/plan.json", json.dumps(plan, separators=(",", ":")))
    (inside,) = ready.session().looks
    ours = [ready.checkout / "bin", ready.checkout / "target/release", built, ready.checkout / ".venv/bin"]
    assert inside["PATH"].split(":") == [*map(str, ours), str(ready.tools)]


def test_another_target_directory_is_known(ready: Workspace) -> None:
    ready.variables["CARGO_TARGET_DIR"] = "/elsewhere"
    (inside,) = ready.session().looks
    assert "/elsewhere/release" in inside["PATH"].split(":")


def test_nothing_is_said_when_all_is_there(ready: Workspace) -> None:
    ready.write(".envrc.local", "export ONE=1\n")
    ready.write(".env", "TWO=2\n")
    told = ready.session()
    assert told.own_words() == []
    assert ready.noted() == []
    assert (told.looks[0]["ONE"], told.looks[0]["TWO"]) == ("1", "2")


def test_a_line_is_said_to_those_who_ask_for_one(ready: Workspace) -> None:
    ready.write(
        "scripts/verify-workspace", '#!/usr/bin/env bash\necho "$CALLSPAN_IN_SHELL: $*"; exit 1\n', executable=True
    )
    assert ready.session().own_words() == []
    ready.write(".env", "CALLSPAN_SUMMARY=1\n")
    assert ready.session().own_words() == ["default: --line"]


def test_entering_costs_little(ready: Workspace) -> None:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    ready.session()
    # 0.08 s were measured; processor time, because others may be at work as well.
    assert spent() - before < 2


def test_it_works_for_those_who_have_direnv_be_strict(ready: Workspace) -> None:
    settings = ready.home / ".config/direnv/direnv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[global]\nstrict_env = true\n", "utf-8")
    ready.write(".env", "FROM_ENV=1\n")
    told = ready.session()
    assert told.own_words() == []
    assert told.looks[0]["FROM_ENV"] == "1"


def test_a_choice_that_cannot_be_read_is_told_and_the_default_does_not_pass_for_it(ready: Workspace) -> None:
    ready.write(".envrc.local", "if [ x ]; then CALLSPAN_SHELL=gpu\n")
    told = ready.session()
    assert ".envrc.local cannot be read" in told.own_words()
    assert told.looks[0]["PATH"] == str(ready.tools)


def test_a_missing_environment_is_told_with_its_cure(workspace: Workspace) -> None:
    told = workspace.session()
    assert told.own_words() == [".venv is missing, or older than what it is made from; fix: make setup"]
    assert workspace.noted() == []


def test_requirements_that_changed_are_told_at_the_next_prompt_until_they_are_met(ready: Workspace) -> None:
    told = ready.session(
        "cd checkout; prompt; echo '# more' >>python-executor/requirements.txt; echo one >&2; prompt;"
        "scripts/setup-python; echo two >&2; prompt"
    )
    words = told.own_words()
    stale = ".venv is missing, or older than what it is made from; fix: make setup"
    assert words.count(stale) == 1
    assert words.index("one") < words.index(stale) < words.index("two")
