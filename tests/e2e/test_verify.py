"""scripts/verify_functiongemma.py where it cannot run: it says what is missing. Where it can, --self-test tries it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_functiongemma.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module(SCRIPT.stem)


@pytest.mark.parametrize(
    ("verdicts", "status", "told"),
    [
        (["same", "near"], 0, "all the same"),
        (["same", "NOT COMPARED"], 3, "leaves out: row 1"),
        (["DIFFERENT", "NOT COMPARED"], 1, "NOT the same"),
    ],
)
def test_no_success_is_claimed_for_what_was_not_compared(
    script: ModuleType, capsys: pytest.CaptureFixture[str], verdicts: list[str], status: int, told: str
) -> None:
    table = script.Table()
    for place, verdict in enumerate(verdicts):
        table.row(f"row {place}", verdict, "")
    assert table.status() == status
    assert told in capsys.readouterr().out.splitlines()[-1]


def test_calls_that_no_answer_has_are_not_compared(script: ModuleType) -> None:
    class NoCalls:
        def lines(self, *_: str, lines: list[object]) -> list[dict[str, object]]:
            return [{"ok": True, "result": {"accepted": False}} for _ in lines]

    table = script.Table()
    script.compare_calls(table, NoCalls(), None, [(case, "") for case in script.requests(1)])
    assert table.verdicts == {"greedy calls": "NOT COMPARED"}


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
