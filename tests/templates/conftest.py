"""Fixtures: a short private directory, and a project made of each template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import harness
import pytest


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    with harness.short_room() as path:
        yield path
