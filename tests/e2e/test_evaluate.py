"""The evaluation against the real built-in model: over its socket, constrained and not, and through its HTTP door.

How many answers are right is the model's affair, and changes with it; that they are asked, judged and valid is not.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import BIN, ROOT, Ran, Server, run

SETS = ROOT / "python-executor" / "eval"


@pytest.fixture
def few(room: Path) -> Path:
    """Two cases of each kind."""
    kept: dict[str, list[str]] = {}
    for line in (SETS / "dev.jsonl").read_text("utf-8").splitlines():
        kept.setdefault(json.loads(line)["kind"], []).append(line)
    file = room / "few.jsonl"
    file.write_text("".join(line + "\n" for lines in kept.values() for line in lines[:2]))
    return file


def evaluate(*arguments: str | Path) -> Ran:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "python-executor" / "python")}
    return run(sys.executable, "-B", "-m", "callspan.evaluate", *arguments, env=environment)


def evaluated(out: Path, *arguments: str | Path) -> dict[str, Any]:
    ran = evaluate("--out", out, *arguments)
    assert ran.status == 0, ran.stderr
    assert (out / "report.html").exists()
    return json.loads((out / "report.json").read_text("utf-8"))


def test_the_built_in_model_is_evaluated_over_its_socket(inference: Server, few: Path, room: Path) -> None:
    program = BIN / "rust-inference"
    made = evaluated(room / "a", few, "--socket", inference.socket, "--beside", "--program", program)
    assert made["all"]["cases"] == len(few.read_text().splitlines())
    assert list(made["kinds"]) == ["one", "several", "parallel", "types", "refuse", "ask", "answer", "error"]
    assert made["all"]["errors"] == 0
    assert made["all"]["valid"]["of"] > 0
    assert made["all"]["valid"]["rate"] == 1, "what is constrained is valid"
    assert made["all"]["right"]["right"] > 0
    free = json.loads((room / "a" / "unconstrained" / "report.json").read_text("utf-8"))
    assert free["all"]["errors"] == 0
    assert free["all"]["valid"]["of"] > 0, "calls are read out of what it wrote"
    alone = evaluated(room / "b", few, "--socket", inference.socket, "--unconstrained", "--program", program)
    assert [case["calls"] for case in alone["cases"]] == [case["calls"] for case in free["cases"]]
    compared = evaluate("--compare", room / "a" / "report.json", room / "b" / "report.json")
    assert compared.status == 0, compared.stderr


def test_through_its_http_door_it_is_judged_the_same(start: Callable[..., Server], few: Path, room: Path) -> None:
    door = room / "http"
    server = start("rust-inference", "--http-socket", door)
    over_socket = evaluated(room / "a", few, "--socket", server.socket)
    over_http = evaluated(room / "b", few, "--openai", f"unix:{door}", "--model", "callspan-default")

    def told(made: dict[str, Any]) -> list[object]:
        return [(case["id"], case["right"], case["calls"], case["content"]) for case in made["cases"]]

    assert told(over_http) == told(over_socket)


def test_a_server_that_is_gone_is_named(few: Path, room: Path) -> None:
    ran = evaluate(few, "--socket", room / "gone")
    assert ran.status == 2
    assert ran.stderr.splitlines()[0] == f"error: {room / 'gone'} takes no connection: No such file or directory"
