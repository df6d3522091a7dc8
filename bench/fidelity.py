#!/usr/bin/env python3
"""Writes into bench/README.md what smaller weights cost in fidelity: the table of rust-inference/tests/fidelity.rs.

usage: bench/fidelity.py
"""

from __future__ import annotations

import subprocess
import sys

from report import into_readme
from served import ROOT


def main() -> int:
    command = [
        "cargo",
        "test",
        "--locked",
        "--quiet",
        "-p",
        "rust-inference",
        "--test",
        "fidelity",
        "--",
        "--nocapture",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    if done.returncode or not table:
        raise SystemExit(f"the test of fidelity failed:\n{done.stdout}{done.stderr}")
    into_readme("fidelity", "\n".join(table))
    print("\n".join(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
