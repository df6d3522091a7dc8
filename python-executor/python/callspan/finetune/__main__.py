"""`python -m callspan.finetune`: fine-tunes a Gemma 3 text model on conversations with tools."""

from __future__ import annotations

import json
import sys

from callspan.finetune import settings
from callspan.finetune.errors import PACKAGES, FinetuneError, first, need, say, tell


def main(arguments: list[str] | None = None) -> int:
    """Trains as the command line says; the exit status."""
    try:
        asked = settings.parse(arguments)
        need(*PACKAGES)
        from callspan.finetune import train

        done = train.run(asked)
    except FinetuneError as error:
        return tell(error)
    except OSError as error:
        return tell(FinetuneError(str(error), "see that it is there, can be written to, and has room", status=1))
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last checkpoint")
        return 130
    if first():
        print(json.dumps(done))  # noqa: T201 - what came of it is data
    return 0


if __name__ == "__main__":
    sys.exit(main())
