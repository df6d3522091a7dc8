"""Fixtures: a short private directory, and a project made of each template."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """A directory with a short name, because the path of a Unix socket holds about 100 bytes."""
    path = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
