"""`python -m callspan.finetune`: fine-tunes a Gemma 3 text model on conversations with tools."""

from __future__ import annotations

import json
import sys

from callspan.finetune import settings
from callspan.finetune.errors import PACKAGES, first, guarded, need


def main(arguments: list[str] | None = None) -> int:
    """Trains as the command line says; the exit status."""

    def work() -> int:
        asked = settings.parse(arguments)
        need(*PACKAGES)
        from callspan.finetune import train

        done = train.run(asked)
        if first():
            print(json.dumps(done))  # noqa: T201 - what came of it is data
        return 0

    return guarded(work, "stopped; the same command goes on from the last checkpoint")


if __name__ == "__main__":
    sys.exit(main())
