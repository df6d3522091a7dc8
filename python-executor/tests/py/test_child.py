"""What the executor does to a fresh child before the tool runs: seeds, environment, warming."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from callspan import runtime
from callspan.runtime import ToolFailure


def test_a_child_gets_seeds_of_its_own():
    def drawn():
        random.seed(1)
        numpy.random.seed(1)
        runtime.reseed()
        return random.random(), numpy.random.random()

    first, second = drawn(), drawn()
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_a_child_gets_the_variables_that_were_granted(monkeypatch):
    monkeypatch.delenv("CALLSPAN_TEST", raising=False)
    monkeypatch.setenv("CALLSPAN_OTHER", "stays")
    runtime.set_environment(json.dumps({"CALLSPAN_TEST": "ü"}))
    assert (os.environ["CALLSPAN_TEST"], os.environ["CALLSPAN_OTHER"]) == ("ü", "stays")


def test_a_waiting_child_makes_no_schema_and_its_call_makes_no_validator(tmp_path, monkeypatch):
    file = tmp_path / "t.py"
    file.write_text("from callspan import tool\n@tool\ndef f(x: int, y: list[str] = []): return x\n")
    monkeypatch.setattr("callspan.decorator.Tool.declaration", None)
    assert runtime.load_tool_file(str(file), describe=False) == "[]"
    runtime.warm()
    monkeypatch.setattr("callspan.quick.Quick.__init__", None)
    monkeypatch.setattr("callspan.inputs.Inputs.validator", None)
    assert runtime.call_tool("f", '{"x": 1}') == "1"


def test_a_waiting_child_is_given_the_code_and_reads_no_file(tmp_path):
    file = tmp_path / "t.py"
    file.write_text("from callspan import tool\n@tool\ndef f(x: int):\n    return 1 / x\n")
    described = json.loads(runtime.describe_tool_file(str(file)))
    assert [tool["name"] for tool in described["tools"]] == ["f"]
    file.unlink()
    runtime.load_tool_file(str(file), describe=False, code=described["code"])
    with pytest.raises(ToolFailure) as caught:
        runtime.call_tool("f", '{"x": 0}')
    assert caught.value.traceback == "t.py:4 in f"


def test_the_code_of_a_large_file_is_not_carried_around(tmp_path):
    file = tmp_path / "t.py"
    file.write_text("x = " + repr([f"item {n}" for n in range(40_000)]))
    assert json.loads(runtime.describe_tool_file(str(file)))["code"] == ""


def test_loading_and_calling_stay_cheap(tmp_path):
    """The pages that a child copies are what it costs; a machine under load does not change their number."""
    source = "from callspan import tool\n@tool\ndef f(x: float, y: str = 'a', z: list[str] = []): return [x, y, z]\n"
    (tmp_path / "t.py").write_text(source)
    measured = subprocess.run(
        [sys.executable, "-B", "-c", PAGES, tmp_path / "t.py"],
        env={"PYTHONPATH": str(Path(runtime.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    loading, warming, calling = json.loads(measured.stdout)
    assert loading < 350
    assert warming < 250
    assert calling < 40


PAGES = """
import gc, json, os, resource, sys
from callspan import prime, runtime
prime.prime()
code = json.loads(runtime.describe_tool_file(sys.argv[1]))["code"]
runtime._tools.clear()
gc.collect()
gc.freeze()
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
if os.fork() == 0:
    pages()
    marks = [pages()]
    runtime.load_tool_file(sys.argv[1], describe=False, code=code)
    marks.append(pages())
    runtime.warm()
    marks.append(pages())
    runtime.call_tool("f", '{"x": 1, "z": ["b"]}')
    marks.append(pages())
    os.write(1, json.dumps([b - a for a, b in zip(marks, marks[1:])]).encode())
    os._exit(0)
os.wait()
"""


def test_numpy_and_pandas_work_in_tools(load, call):
    load("""
        import numpy, pandas

        @tool
        def totals(rows: list[dict[str, float]]) -> dict:
            table = pandas.DataFrame(rows)
            return {"sum": table.sum().to_dict(), "norm": numpy.linalg.norm(table.to_numpy()).item()}
    """)
    assert call("totals", rows=[{"a": 3}, {"a": 4}]) == {"sum": {"a": 7.0}, "norm": 5.0}
