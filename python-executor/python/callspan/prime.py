"""What a process does once before it makes children: everything that each of them would otherwise do anew.

A child costs about a millisecond. Importing one module of the standard library costs as much, and so does what
pydantic makes at its first use; so all of it happens here, and the children share it.
"""

import contextlib
import datetime
import importlib
import json
import sys
from pathlib import Path
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


_SAMPLE = '''
from callspan import tool

@tool
def sample(text: str, number: int = 1) -> str:
    """Give back a text."""
    return text * number
'''

_TIMES = 10
"""After about so many, Python has stopped to rewrite a function's code for what it has seen there; a child that is the
first to come so far copies the code's pages."""


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
    _rehearse()


def _rehearse() -> None:
    """Go through a child's life with a file of our own, and leave no trace of it."""
    file = Path(__file__).with_name("sample.py")
    described = json.loads(runtime.describe_tool_file(str(file), _SAMPLE))
    for _ in range(_TIMES):
        runtime.reseed()
        runtime.load_tool_file(str(file), False, None, described["code"])
        runtime.warm()
        runtime.call_tool("sample", '{"text":"a"}')
    runtime.forget_tools()
    del sys.modules["callspan_tool_sample"]
