"""A tool that means well: its calls must not be touched by what the others do."""

import time
from pathlib import Path

from callspan import tool

CANARY_OF_A_TOOL = "mine"


@tool
def canary_of_a_tool() -> str:
    """Answer, if all is as it should be."""
    if list(Path().iterdir()):
        raise AssertionError("somebody was here")
    Path("note").write_text("mine")
    time.sleep(0.01)
    return f"all is well, {len(Path('note').read_text())}"
