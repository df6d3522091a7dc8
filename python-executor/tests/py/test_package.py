"""The package as it is installed: with its data, and light where nothing but tools is wanted."""

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "python" / "callspan"


def test_a_wheel_has_every_file_that_is_no_module():
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    packed = {
        file
        for package, patterns in table.items()
        for pattern in patterns
        for file in (PACKAGE.parent / package.replace(".", "/")).glob(pattern)
    }
    files = {file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    assert any(file.suffix == ".fam" for file in files)
    assert files - packed == set()


def test_what_a_tool_imports_is_light():
    """A child of the executor imports it before every tool: training, evaluation and their packages stay out."""
    code = "import sys, callspan; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ran.stdout.split())
    heavy = {"numpy", "pandas", "jsonschema", "torch", "transformers", "tokenizers", "matplotlib", "argparse"}
    assert "callspan.decorator" in loaded
    assert loaded & heavy == set()
    assert {name for name in loaded if name.startswith(("callspan.finetune", "callspan.evaluate"))} == set()
