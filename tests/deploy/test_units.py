"""deploy/systemd: the units are right, as hardened as was measured, and start the servers with their first clients."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import BIN, ROOT, TOOLS, VENV, Wire, run, until

UNITS = ROOT / "deploy" / "systemd"
SERVERS = {"inference": "rust-inference", "executor": "python-executor"}
# systemd-analyze's mark of exposure, in tenths, from 0 to 100. The executor makes a sandbox of its own of what a unit
# would take away, so that its mark tells little.
EXPOSURE = {"inference": 21, "executor": 76}


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with programs that are there: what is checked is the rest."""
    copies = tmp_path / "units"
    copies.mkdir()
    for unit in UNITS.iterdir():
        (copies / unit.name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M))
    return copies


def analyze(runtime: Path, *arguments: str | Path) -> tuple[int, str]:
    ran = run("systemd-analyze", *arguments, env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)})
    return ran.status, ran.stdout + ran.stderr


def test_systemd_finds_nothing_wrong_with_the_units(units: Path, tmp_path: Path) -> None:
    assert sorted(unit.name for unit in units.iterdir()) == [
        f"callspan-{server}.{kind}" for server in sorted(SERVERS) for kind in ("service", "socket")
    ]
    for unit in units.iterdir():
        assert analyze(tmp_path, "--user", "verify", unit) == (0, "")
    # It would tell: that is what the test stands on.
    wrong = units / "callspan-executor.service"
    wrong.write_text(wrong.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in analyze(tmp_path, "--user", "verify", wrong)[1]


@pytest.mark.parametrize("server", SERVERS)
def test_a_service_is_no_more_exposed_than_was_measured(server: str, units: Path, tmp_path: Path) -> None:
    unit = units / f"callspan-{server}.service"
    security = ("--user", "security", "--offline=true", f"--threshold={EXPOSURE[server]}")
    assert analyze(tmp_path, *security, unit)[0] == 0
    unit.write_text(unit.read_text().replace("NoNewPrivileges=yes\n", "").replace("RestrictRealtime=yes\n", ""))
    assert analyze(tmp_path, *security, unit)[0] != 0


@pytest.mark.parametrize("server", SERVERS)
def test_the_first_client_starts_the_server_on_the_socket_that_was_there(server: str, room: Path) -> None:
    socket = room / "s"
    more = ["--tools", TOOLS, "--venv", VENV] if server == "executor" else []
    command = ["systemd-socket-activate", "-l", socket, BIN / SERVERS[server], "--socket", socket, *more]
    with (room / "log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(socket.exists, "the socket")
        assert Path(f"/proc/{process.pid}/comm").read_text().startswith("systemd-socket")
        inode = socket.stat().st_ino
        # Twice: it is a server, and not started anew for each.
        reports = []
        for _ in range(2):
            with Wire(socket) as wire:
                reports.append(wire.ask(1, health={})["health_report"])
        assert [report["status"] for report in reports] == ["SERVING"] * 2
        assert [report["pid"] for report in reports] == [process.pid] * 2
        # It is the same socket, and the server made none of its own beside it, for that it would have locked.
        assert socket.stat().st_ino == inode
        assert not (room / "s.lock").exists()
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0, (room / "log").read_text()
    # Whoever made the socket removes it.
    assert socket.exists()


def may_separate_mounts() -> bool:
    return os.geteuid() == 0 and run("unshare", "--mount", "--pid", "--fork", "true").status == 0


@pytest.mark.skipif(not may_separate_mounts(), reason="takes root who may make namespaces")
def test_under_a_users_systemd_both_servers_come_with_their_clients(installed: Path, room: Path) -> None:
    """The units as they are, under a real manager: what they take from the servers is nothing that these need."""
    manager, session = (Path(__file__).with_name(name) for name in ("user_manager", "user_session"))
    ran = run(manager, installed / "usr/local", UNITS, room / "home", session, patience_s=120)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert "before: inactive inactive" in ran.stdout
    assert "after: active active" in ran.stdout
    assert re.findall(r"mode: (\d+)", ran.stdout) == ["700", "600", "600"]
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    [health] = [line for line in told if "details" in line]
    assert health["details"]["isolation"] == "full"
    assert health["details"]["max_calls"] == "3"
    [result] = [line for line in told if line.get("event") == "result"]
    assert (result["outcome"], result["isolation"]["level"]) == ("ok", "full")
    assert re.findall(r"restarted: (\w+)", ran.stdout) == ["inference", "executor"]
    assert "results: success success" in ran.stdout
    assert "left: \n" in ran.stdout


def test_units_name_the_place_of_installation_or_are_left_out(clone: Path, tmp_path: Path) -> None:
    """Neither the build nor what pip brings is looked at here."""
    for stub in (clone / "scripts" / "build", clone / ".venv" / "bin" / "python"):
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text("#!/bin/sh\n")
        stub.chmod(0o755)
    for name, usual in [("usual+1", True), ("a b", False), ("50%", False), ("this&that", False), ("this|that", False)]:
        prefix = tmp_path / name
        env = {**os.environ, "PREFIX": str(prefix), "DESTDIR": "", "PROFILE": "dev"}
        ran = run(clone / "scripts" / "install", env=env)
        assert ran.status == 0, ran.stderr
        assert ("leaving out the units" in ran.stderr) is not usual
        services = {path.name: path.read_text() for path in prefix.rglob("*.service")}
        assert sorted(services) == [f"callspan-{server}.service" for server in sorted(SERVERS) if usual]
        for server in SERVERS if usual else ():
            assert f"\nExecStart={prefix}/bin/{SERVERS[server]} " in services[f"callspan-{server}.service"]
        assert len(list(prefix.rglob("*.plist"))) == 2 * usual


def test_what_the_units_start_is_what_is_installed(installed: Path) -> None:
    for unit in UNITS.glob("*.service"):
        [program] = re.findall(r"^ExecStart=(\S+)", unit.read_text(), re.M)
        assert (installed / program.lstrip("/")).is_file()


def test_sockets_are_where_the_programs_look_for_them_by_default() -> None:
    for server in SERVERS:
        assert f"ListenStream=%t/callspan/{server}.sock\n" in (UNITS / f"callspan-{server}.socket").read_text()
        assert f" --socket %t/callspan/{server}.sock\n" in (UNITS / f"callspan-{server}.service").read_text()
