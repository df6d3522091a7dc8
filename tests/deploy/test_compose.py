"""deploy/compose.yaml and deploy/process-compose.yaml: valid, and what they name is there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import yaml
from harness import BIN, ROOT, TOOLS, VENV, accepts, run, until

COMPOSE = ROOT / "deploy" / "compose.yaml"
PROCESSES = ROOT / "deploy" / "process-compose.yaml"


def test_the_compose_file_is_valid(tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    ran = run(*check, COMPOSE)
    assert ran.status == 0, ran.stdout + ran.stderr
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("read_only:", "readonly:"))
    assert run(*check, wrong).status == 1


def test_commands_that_are_shown_name_the_profile_of_what_they_run() -> None:
    """podman-compose knows no service of a profile that it is not given."""
    compose = COMPOSE.read_text()
    [profile] = yaml.safe_load(compose)["services"]["ask"]["profiles"]
    for shown in (compose, (ROOT / "docs" / "guides" / "deploy.md").read_text()):
        commands = [line for line in shown.splitlines() if "podman-compose" in line and " run " in line]
        assert commands
        assert all(f" --profile {profile} run --rm ask " in line for line in commands)


def test_services_share_the_sockets_and_nothing_else_and_can_do_little() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    containerfile = (ROOT / "deploy" / "Containerfile").read_text()
    assert sorted(compose["services"]) == ["ask", "executor", "inference"]
    for name, service in compose["services"].items():
        image = service["image"].partition("callspan-")[2].partition(":")[0]
        assert f" AS {image}\n" in containerfile
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["network_mode"] == "none"
        assert "privileged" not in service
        shared = [volume for volume in service["volumes"] if not volume.startswith("cache:")]
        assert shared == ["sockets:/run/callspan"], name
    for server in ("inference", "executor"):
        assert compose["services"][server]["healthcheck"]["test"][-1] == f"/run/callspan/{server}.sock"
        assert f"/run/callspan/{server}.sock" in compose["services"]["ask"]["entrypoint"]


def test_the_processes_start_and_are_ready_when_their_probes_say_so(room: Path) -> None:
    """Their commands, by the shell that process-compose would use; process-compose itself is not at hand."""
    processes = yaml.safe_load(PROCESSES.read_text())["processes"]
    assert sorted(processes) == ["executor", "inference"]
    env = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(room),
        "XDG_RUNTIME_DIR": str(room),
        "CALLSPAN_TOOLS": str(TOOLS),
        "CALLSPAN_VENV": str(VENV),
    }
    for name, process in processes.items():
        probe = process["readiness_probe"]["exec"]["command"]
        assert run("bash", "-c", probe, env=env).status == 3
        with (room / "log").open("w") as log:
            running = subprocess.Popen(["bash", "-c", process["command"]], env=env, stderr=log)
        try:
            until(lambda name=name: accepts(room / "callspan" / f"{name}.sock"), f"{name} to listen")
            assert run("bash", "-c", probe, env=env).status == 0
        finally:
            # It is the server that gets the signal: the shell is gone.
            running.send_signal(process["shutdown"]["signal"])
            assert running.wait(process["shutdown"]["timeout_seconds"]) == 0, (room / "log").read_text()
        assert process["shutdown"]["parent_only"] is True
        assert shlex.split(process["command"])[0] == "exec"
