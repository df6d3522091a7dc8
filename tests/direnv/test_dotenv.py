"""Variables of one's own: .env, then .env.SHELL, over all the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace


def test_each_file_has_its_say_over_the_one_before(ready: Workspace) -> None:
    ready.variables |= {"ONE": "outside", "TWO": "outside", "THREE": "outside", "FOUR": "outside"}
    ready.write(".envrc.local", "export TWO=local THREE=local FOUR=local\n")
    ready.write(".env", "THREE=env\nFOUR=env\n")
    ready.write(".env.default", "FOUR=default\n")
    ready.write(".env.gpu", "ONE=gpu\n")
    (inside,) = ready.session().looks
    assert [inside[name] for name in ("ONE", "TWO", "THREE", "FOUR")] == ["outside", "local", "env", "default"]


def test_a_shell_reads_its_own_file(ready: Workspace) -> None:
    ready.variables["CALLSPAN_SHELL"] = "gpu"
    ready.write(".env.default", "OF=default\n")
    ready.write(".env.gpu", "OF=gpu\n")
    (inside,) = ready.session().looks
    assert inside["OF"] == "gpu"


def test_they_have_the_last_word_over_a_shell_of_nix(nix: Workspace) -> None:
    nix.write(".env", "FROM_NIX=env\n")
    (inside,) = nix.session().looks
    assert inside["FROM_NIX"] == "env"


def test_what_they_hid_is_back_outside(ready: Workspace) -> None:
    ready.variables["ONE"] = "outside"
    ready.write(".env", "ONE=env\nTWO=env\n")
    inside, outside = ready.session("cd checkout; prompt; look; cd ..; prompt; look").looks
    assert (inside["ONE"], inside["TWO"]) == ("env", "env")
    assert outside["ONE"] == "outside"
    assert "TWO" not in outside


def test_a_file_that_comes_or_changes_is_read_at_the_next_prompt(ready: Workspace) -> None:
    ready.write(".env", "ONE=1\n")
    script = "cd checkout; prompt; look; echo ONE=2 >.env; prompt; look; echo ONE=3 >.env.default; prompt; look"
    assert [look["ONE"] for look in ready.session(script).looks] == ["1", "2", "3"]


def test_one_that_cannot_be_read_is_told_and_nothing_of_the_workspace_is_loaded(ready: Workspace) -> None:
    ready.write(".env", "this is no line of such a file\n")
    told = ready.session()
    assert ".env cannot be read" in told.own_words()
    assert "  fix: lines of NAME=value; then: direnv reload" in told.own_words()
    assert told.looks[0]["PATH"] == str(ready.tools)


def test_a_shell_cannot_be_chosen_there(ready: Workspace) -> None:
    for name in (".env", ".env.default"):
        file = ready.write(name, "CALLSPAN_SHELL=gpu\n")
        told = ready.session()
        assert any("comes too late" in word for word in told.own_words())
        assert "  fix: set it in .envrc.local; then: direnv reload" in told.own_words()
        assert "CALLSPAN_IN_SHELL" not in told.looks[0]
        file.unlink()
