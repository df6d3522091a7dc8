"""`python -m callspan.evaluate`."""

import io
import sys

from callspan.evaluate.cli import main

# Names are anybody's, and terminals cannot show all of them.
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")
sys.exit(main())
