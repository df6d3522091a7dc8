"""What a process does once before it makes children: everything that each of them would otherwise do anew.

A child costs about a millisecond. Importing one module of the standard library costs as much, and so does what
pydantic makes at its first use; so all of it happens here, and the children share it.
"""

import contextlib
import datetime
import importlib
from typing import Literal

from callspan import logs, runtime
from callspan.context import Context
from callspan.decorator import Tool
from callspan.errors import ToolFailure

_LIBRARY = (
    "abc array ast base64 binascii bisect calendar cmath collections.abc colorsys contextlib copy csv dataclasses "
    "datetime decimal difflib enum fractions functools gzip hashlib heapq hmac html html.parser http.client inspect "
    "io ipaddress itertools json locale logging math mimetypes numbers operator os pathlib pprint queue random re "
    "reprlib secrets shlex ssl statistics string struct tempfile textwrap threading time tomllib traceback types "
    "typing unicodedata urllib.parse urllib.request uuid xml.etree.ElementTree zipfile zlib zoneinfo"
)


def prime() -> None:
    """Import what tools commonly use, and go through a call."""
    logs.install()
    for name in _LIBRARY.split():
        importlib.import_module(name)

    async def sample(
        context: Context,
        text: str,
        number: float,
        count: int = 1,
        flag: bool | None = None,
        kind: Literal["a", "b"] = "a",
        items: list[str] | None = None,
        more: dict[str, int] | None = None,
        day: datetime.date | None = None,
    ) -> None:
        """Do nothing."""

    tool = Tool(sample, None, None)
    tool.declaration()
    runtime.run(tool, '{"text":"","number":1}')
    with contextlib.suppress(ToolFailure):
        runtime.run(tool, '{"number":true}')
    runtime.warm()
