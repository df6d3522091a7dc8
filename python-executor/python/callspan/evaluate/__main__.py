"""`python -m callspan.evaluate`."""

import sys

from callspan.evaluate.cli import main

sys.exit(main())
