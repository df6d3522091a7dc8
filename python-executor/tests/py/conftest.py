"""Every test loads real files through the runtime, as the executor does, and leaves its registry as it was."""

import json
import textwrap

import pytest

from callspan import decorator, report, runtime


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    runtime._tools.clear()
    report.directories.clear()
    decorator.defined.clear()


@pytest.fixture
def load(tmp_path):
    """Write a tool file and load it; returns its declarations by name."""

    def write_and_load(source: str, name: str = "sample.py") -> dict:
        file = tmp_path / name
        file.write_text("from callspan import tool\n" + textwrap.dedent(source))
        return {item["name"]: item for item in json.loads(runtime.load_tool_file(str(file)))}

    return write_and_load


@pytest.fixture
def call():
    """Call a loaded tool with keyword arguments; returns the decoded result."""
    return lambda name, **arguments: json.loads(runtime.call_tool(name, json.dumps(arguments)))
