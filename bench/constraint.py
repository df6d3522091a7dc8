#!/usr/bin/env python3
"""What a constraint costs over a vocabulary of 262,144 tokens: of llguidance, on tools and calls of the usual kinds.

Builds the program in bench/llguidance, which is no part of the workspace, and prints its table.
usage: bench/constraint.py
"""

from __future__ import annotations

import subprocess
import sys

from served import BENCH, TARGET, machine, random_model


def main() -> int:
    manifest, target = BENCH / "llguidance" / "Cargo.toml", TARGET / "bench"
    # Not --locked: its lock file follows when the product's dependencies change.
    build = ["cargo", "build", "--quiet", "--release", "--manifest-path", manifest, "--target-dir", target]
    subprocess.run(build, check=True)
    tools = BENCH / "tools"
    program = [target / "release" / "bench-constraint", random_model(tiny=True)]
    print(f"{machine()}\n", flush=True)
    return subprocess.run([*program, tools / "twenty.json", tools / "calls.jsonl"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
