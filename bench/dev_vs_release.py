#!/usr/bin/env python3
"""How much slower is the server that a bare `cargo run` builds than the release build? The promise is: at most twice.

Builds both, asks each the same questions in turns (so that a busy machine disturbs both alike) and compares the best
times. usage: bench/dev_vs_release.py [ROUNDS]
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from served import Server, build

LIMIT = 2.0

TOOL = {
    "name": "convert",
    "description": "Convert a value between units.",
    "parameters": {"type": "object", "properties": {"value": {"type": "number"}, "unit": {"type": "string"}}},
}
QUESTION = {
    "chat": {"messages": [{"role": "user", "content": "How many miles is 12 km?"}]},
    "tools": [TOOL | {"name": f"convert_{number}"} for number in range(4)],
    "max_tokens": 64,
}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with ExitStack() as stack:
        servers = {profile: stack.enter_context(Server(build(profile))) for profile in ("dev", "release")}
        times = {profile: [] for profile in servers}
        for _ in range(rounds):
            for profile, server in servers.items():
                times[profile].append(server.done(QUESTION)[1])
    best = {profile: 1000 * min(measured) for profile, measured in times.items()}
    ratio = best["dev"] / best["release"]
    print(f"dev {best['dev']:.1f} ms, release {best['release']:.1f} ms an answer: {ratio:.2f} times, limit {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
