"""`make install`: what was installed works with no checkout in sight."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from harness import ROOT, Wire, accepts, run, until

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def test_an_installed_tree_works_from_anywhere(room: Path) -> None:
    prefix = room / "prefix"
    # The build that is there already: what is under test is the layout.
    made = run("make", "-C", ROOT, "install", f"PREFIX={prefix}", "PROFILE=dev", patience_s=600)
    assert made.status == 0, made.stderr

    elsewhere = room / "elsewhere"
    elsewhere.mkdir()
    asked = run(
        prefix / "bin" / "callspan",
        "ask",
        "--json",
        "Hello, who are you?",
        cwd=elsewhere,
        env={"HOME": str(elsewhere), "PATH": PATH, "XDG_RUNTIME_DIR": str(elsewhere)},
    )
    assert asked.status == 0, asked.stderr
    assert asked.events()

    # The checkout's own copies are not what was used: every process image and tool came from the prefix.
    listed = run(
        prefix / "bin" / "python-executor", "--help", cwd=elsewhere, env={"HOME": str(elsewhere), "PATH": PATH}
    )
    assert listed.status == 0, listed.stderr

    made = run(prefix / "bin" / "callspan", "init", "tools", elsewhere / "mytools", cwd=elsewhere, env={"PATH": PATH})
    assert made.status == 0, made.stderr
    assert (elsewhere / "mytools" / "tools" / "alarm.py").is_file()

    for name in ["man/man1/callspan-ask.1", "bash-completion/completions/ipc", "zsh/site-functions/_ipc"]:
        assert (prefix / "share" / name).is_file(), name

    removed = run("make", "-C", ROOT, "uninstall", f"PREFIX={prefix}")
    assert removed.status == 0, removed.stderr
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == []
    again = run("make", "-C", ROOT, "uninstall", f"PREFIX={prefix}")
    assert (again.status, again.stderr) == (
        0,
        f"==> nothing is installed in {prefix}; PREFIX and DESTDIR are to be those of make install\n",
    )
    relative = run("make", "-C", ROOT, "uninstall", "PREFIX=here")
    assert relative.status == 2
    assert "PREFIX=here is not absolute" in relative.stderr


def test_an_installed_executor_finds_its_venv_and_tools(room: Path) -> None:
    prefix = room / "prefix"
    made = run("make", "-C", ROOT, "install", f"PREFIX={prefix}", "PROFILE=dev", patience_s=600)
    assert made.status == 0, made.stderr
    process_env = {"HOME": str(room), "PATH": PATH}
    (prefix / "share" / "callspan" / "tools" / "only_here.py").write_text(
        "from callspan import tool\n\nimport only_in_this_venv\n\n"
        '@tool\ndef only_here() -> str:\n    """Say where."""\n    return only_in_this_venv.PLACE\n'
    )
    [packages] = (prefix / "lib" / "callspan" / "venv" / "lib").glob("python3*/site-packages")
    (packages / "only_in_this_venv.py").write_text("PLACE = 'the installed venv'\n")
    server = subprocess.Popen(
        [prefix / "bin" / "python-executor", "--socket", room / "s"],
        cwd=room,
        env=process_env,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: accepts(room / "s") or server.poll() is not None, "the installed executor to listen")
        assert server.poll() is None, server.stderr.read()
        with Wire(room / "s") as wire:
            result = wire.ask(1, call_tool={"name": "only_here", "arguments": {}})["tool_result"]
        assert result["outcome"] == "ok", result
        assert json.loads(result["result"]) == "the installed venv"
    finally:
        server.terminate()
        server.wait(30)
