"""scripts/verify_functiongemma.py where it cannot run: it says what is missing. Where it can, --self-test tries it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_functiongemma.py"


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], "make verify-functiongemma MODEL=DIR"),
        ([ROOT / "scripts"], "has no config.json"),
        ([ROOT / "models" / "default"], "-m pip install torch transformers"),
    ],
)
def test_what_is_missing_is_said_with_how_to_get_it(given: list[Path], missing: str) -> None:
    # Without the site's packages there is no transformers, whatever is installed.
    done = subprocess.run([sys.executable, "-S", SCRIPT, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    assert missing in done.stderr
    assert "Traceback" not in done.stderr
