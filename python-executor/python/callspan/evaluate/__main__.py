"""`python -m callspan.evaluate`."""

import io
import signal
import sys
from typing import NoReturn

from callspan.evaluate.cli import main


def _end(number: int, _frame: object) -> NoReturn:
    # The status that shells give for it; on its way up, what came is kept.
    raise SystemExit(128 + number)


signal.signal(signal.SIGTERM, _end)

# Names are anybody's, and terminals cannot show all of them.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")
sys.exit(main())
