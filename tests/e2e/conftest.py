"""Fixtures: a server of each kind, gone after the test."""

from __future__ import annotations

from collections.abc import Callable

import harness
import pytest


@pytest.fixture
def inference(start: Callable[..., harness.Server]) -> harness.Server:
    return start("rust-inference")


@pytest.fixture
def executor(start: Callable[..., harness.Server]) -> harness.Server:
    return start("python-executor", "--tools", harness.TOOLS, "--venv", harness.VENV)
