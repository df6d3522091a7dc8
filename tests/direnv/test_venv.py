"""`.venv` is made when there is none or what it is made from has changed, and only then."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

UV = '#!/usr/bin/env bash\necho "uv ${!#} $UV_PYTHON_DOWNLOADS" >>"$NOTES"\n'


def set_up(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    return workspace.run("scripts/setup-python")


def is_current(workspace: Workspace) -> bool:
    done = workspace.run("scripts/setup-python", "--check")
    assert (done.stdout, done.stderr) == ("", "")
    assert done.returncode in (0, 1)
    return done.returncode == 0


def wanted(workspace: Workspace) -> str:
    return str(workspace.checkout / "python-executor/requirements-dev.txt")


def test_it_is_made_once(workspace: Workspace) -> None:
    assert not is_current(workspace)
    assert set_up(workspace).returncode == 0
    assert workspace.noted() == ["venv .venv", f"pip {wanted(workspace)}"]
    assert is_current(workspace)
    again = set_up(workspace)
    assert (again.returncode, again.stderr, workspace.noted()) == (0, "", [])


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_it_is_made_anew_when_a_file_that_it_is_made_from_says_something_else(ready: Workspace, name: str) -> None:
    file = ready.checkout / "python-executor" / name
    text = file.read_text("utf-8")
    file.touch()
    assert is_current(ready), "the same words at another time are the same"
    file.write_text(text + "another\n", "utf-8")
    assert not is_current(ready)
    assert set_up(ready).returncode == 0
    assert ready.noted()[0] == "venv .venv"
    assert is_current(ready)


def test_it_is_made_anew_for_another_python(ready: Workspace) -> None:
    ready.program("python", (ready.tools / "python").read_text("utf-8").replace('"$@" ;;', '"${@/sys.version,/3,}" ;;'))
    assert not is_current(ready)


def test_what_was_begun_is_not_taken_for_done(workspace: Workspace) -> None:
    workspace.variables["PIP_FAILS"] = "yes"
    done = set_up(workspace)
    assert done.returncode == 1
    assert "error: what python-executor/requirements-dev.txt names could not be installed\n  fix: " in done.stderr
    assert not is_current(workspace)
    del workspace.variables["PIP_FAILS"]
    assert set_up(workspace).returncode == 0
    assert is_current(workspace)


def test_of_two_at_once_one_makes_it_and_the_other_waits(workspace: Workspace) -> None:
    workspace.variables["VENV_TAKES"] = "0.5"
    command = [workspace.checkout / "scripts/setup-python"]
    both = [subprocess.Popen(command, env=workspace.environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=120)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert [line.split()[1] for line in said] == ["making", "waiting"]
    assert workspace.noted() == ["venv .venv", f"pip {wanted(workspace)}"]


def test_uv_installs_if_it_is_there_and_fetches_no_python(workspace: Workspace) -> None:
    workspace.program("uv", UV)
    # Whatever file this machine has for all.
    workspace.variables["PIP_CONFIG_FILE"] = "/dev/null"
    assert set_up(workspace).returncode == 0
    assert workspace.noted() == ["venv .venv", f"uv {wanted(workspace)} never"]


def test_pip_installs_for_those_who_have_told_it_where_from(workspace: Workspace) -> None:
    workspace.program("uv", UV)
    workspace.variables["PIP_INDEX_URL"] = "http://127.0.0.1:9/simple"
    assert set_up(workspace).returncode == 0
    del workspace.variables["PIP_INDEX_URL"]
    settings = workspace.home / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[global]\n", "utf-8")
    (workspace.checkout / ".venv/.made-from").unlink()
    assert set_up(workspace).returncode == 0
    assert workspace.noted() == ["venv .venv", f"pip {wanted(workspace)}"] * 2


def test_a_python_that_is_not_there_or_too_old_is_told(workspace: Workspace) -> None:
    workspace.variables["PYTHON"] = "/nowhere/python3"
    done = set_up(workspace)
    assert "error: /nowhere/python3 is missing" in done.stderr
    pretends = '[ "$1" != --version ] || { echo Python 3.9.2; exit; }\nexec python "${@/sys.version_info/(3, 9)}"\n'
    workspace.program("old", "#!/usr/bin/env bash\n" + pretends)
    workspace.variables["PYTHON"] = "old"
    done = set_up(workspace)
    assert done.returncode == 1
    assert "is Python 3.9.2, and 3.11 or newer is needed" in done.stderr
    assert "fix: make PYTHON=/path/to/python3.11 setup" in done.stderr


def test_an_option_that_there_is_not_is_a_usage_error(workspace: Workspace) -> None:
    done = workspace.run("scripts/setup-python", "--force")
    assert done.returncode == 2
    assert "there is no option --force" in done.stderr
