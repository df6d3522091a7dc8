"""What the executor does to a fresh child before the tool runs: seeds, environment, warming."""

import json
import os
import random

import numpy

from callspan import runtime


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
    monkeypatch.setattr("callspan.inputs.Inputs.validator", None)
    assert runtime.call_tool("f", '{"x": 1}') == "1"


def test_numpy_and_pandas_work_in_tools(load, call):
    load("""
        import numpy, pandas

        @tool
        def totals(rows: list[dict[str, float]]) -> dict:
            table = pandas.DataFrame(rows)
            return {"sum": table.sum().to_dict(), "norm": numpy.linalg.norm(table.to_numpy()).item()}
    """)
    assert call("totals", rows=[{"a": 3}, {"a": 4}]) == {"sum": {"a": 7.0}, "norm": 5.0}
