"""Has the tests import what the documents are checked and laid out with, and what is beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

import harness

sys.path[:0] = [str(harness.ROOT / "scripts"), str(Path(__file__).parent)]
