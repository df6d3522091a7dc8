"""The images in a real engine's containers: which isolation the executor has there, and the compose file's services."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from harness import ROOT, run
from stores import Image, Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="images are built here as root")

SETTINGS = """[containers]
# Not every machine gives tests control groups, or lets them raise limits.
cgroups = "disabled"
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
events_logger = "none"
"""


@pytest.fixture(scope="module")
def said(store: Store, images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What tests/deploy/in_containers prints."""
    assert images
    settings = tmp_path_factory.mktemp("engine") / "containers.conf"
    settings.write_text(SETTINGS)
    # podman-compose is this environment's.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, **store.env, "CONTAINERS_CONF": str(settings), "PATH": path, "CONTAINER_TOOL": "podman"}
    here = Path(__file__).parent
    ran = run(here / "engine", here / "in_containers", ROOT, env=env, patience_s=180)
    assert ran.status == 0, ran.stdout + ran.stderr
    return ran.stdout


def lines(said: str, kind: str) -> list[str]:
    return re.findall(rf"^{kind}: (.*)$", said, re.MULTILINE)


def test_the_executor_is_reduced_where_an_engine_forbids_namespaces_and_full_where_not(said: str) -> None:
    levels = [json.loads(line)["level"] for line in lines(said, "doctor")]
    assert levels == ["reduced", "reduced", "full"]
    for line in lines(said, "doctor"):
        states = {row["mechanism"]: row["state"] for row in json.loads(line)["mechanisms"]}
        assert "broken" not in states.values()
        assert (states["Landlock"], states["seccomp"], states["no capabilities"]) == ("active",) * 3


@pytest.mark.parametrize("kind", ["all", "compose"])
def test_a_question_is_answered_in_one_container_and_over_several(said: str, kind: str) -> None:
    events = [json.loads(line) for line in lines(said, kind) if line.startswith("{")]
    [result] = [event for event in events if event["event"] == "result"]
    assert (result["name"], result["outcome"]) == ("convert_units", "ok")
    assert result["isolation"]["level"] == "reduced"
    assert events[-1]["event"] == "answer"


def test_what_runs_is_verified_and_leaves_nothing(said: str) -> None:
    assert [line.split(" is ")[0] for line in lines(said, "verify")] == [
        f"container:callspan_{server}_1" for server in ("inference", "executor")
    ]
    assert lines(said, "left") == [""]
