"""scripts/setup-system: Debian's packages are for those who build with Debian's tools."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

SETUP = Path(__file__).resolve().parents[2] / "scripts/setup-system"
TAKES_NOTE = '#!/usr/bin/env bash\necho "${0##*/} $*" >>"$NOTES"\n'
# What a shell of the flake has on PATH.
BROUGHT = ("cc", "ghc", "ghc-pkg", "cabal", "socat")


@pytest.fixture
def debian(ready: Workspace) -> Workspace:
    """A Debian that has none of the packages, and lets anybody install some."""
    shutil.copy(SETUP, ready.checkout / "scripts/setup-system")
    for name in ("apt-get", "dpkg-query"):
        ready.program(name, TAKES_NOTE)
    for name in ("id", "sudo"):
        ready.program(name, "#!/usr/bin/env bash\necho 0\n")
    for name in BROUGHT:
        ready.program(name, "#!/usr/bin/env bash\n")
    return ready


def test_on_debian_what_is_missing_is_installed(debian: Workspace) -> None:
    done = debian.run("scripts/setup-system")
    assert done.returncode == 0, done.stderr
    (installed,) = [note for note in debian.noted() if note.startswith("apt-get")]
    assert " install -y " in installed
    assert {"gcc", "libc6-dev", "libpython3-dev", "ghc", "libghc-aeson-dev"} <= set(installed.split())


def test_in_a_shell_from_nix_debian_is_left_alone(debian: Workspace) -> None:
    debian.variables["IN_NIX_SHELL"] = "impure"
    done = debian.run("scripts/setup-system")
    assert (done.returncode, done.stderr, debian.noted()) == (0, "", [])
    (debian.tools / "ghc").unlink()
    done = debian.run("scripts/setup-system")
    assert (done.returncode, debian.noted()) == (1, [])
    assert "this is a shell from Nix, so nothing is installed for you, and these are missing:\n  - ghc\n" in done.stderr
    assert "  fix: use a shell of this flake that has them" in done.stderr
