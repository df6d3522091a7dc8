"""Where Callspan is: the program in CALLSPAN_BIN_DIR or on PATH, and the package installed, or beside the program."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def program() -> Path:
    where = os.environ.get("CALLSPAN_BIN_DIR")
    found = shutil.which("python-executor", path=where)
    if found is None:
        raise pytest.UsageError(
            f"python-executor is not in {where or 'PATH'}: put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR"
        )
    return Path(found)


def package() -> Path:
    """A checkout has it in one place, an installation in another; CALLSPAN_PYTHONPATH says where else."""
    if given := os.environ.get("CALLSPAN_PYTHONPATH"):
        return Path(given)
    roots = [program().absolute().parents[1], program().resolve().parents[1]]
    places = [root / place for root in roots for place in ("python-executor/python", "lib/callspan/python")]
    for place in places:
        if (place / "callspan" / "testing.py").is_file():
            return place
    raise pytest.UsageError(f"there is no callspan package beside {program()}: set CALLSPAN_PYTHONPATH")


if importlib.util.find_spec("callspan") is None:
    sys.path.insert(0, str(package()))


@pytest.fixture(scope="session")
def sandbox() -> Iterator:
    """A real executor with these tools. A file that it cannot use fails every test of it, with its reason."""
    from callspan.testing import Sandbox

    with Sandbox(TOOLS, program=program()) as sandbox:
        yield sandbox
