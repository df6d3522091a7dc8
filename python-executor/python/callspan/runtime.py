"""What the executor's embedded interpreter calls: load one tool file, call one tool, run a snippet, prepare a child.

What goes in and out is JSON text, so that nothing but strings crosses between Rust and Python. Every failure is one of
the exceptions of `callspan.errors`, with a message that is safe to show: the tool's own exceptions are read without
trusting their methods.
"""

import asyncio
import inspect
import json
import marshal
import os
import random
import sys
import types
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callspan import decorator, logs
from callspan.artefact import Outbox
from callspan.context import Context
from callspan.decorator import Tool
from callspan.encode import encode
from callspan.errors import (
    BadResult,
    ToolFailure,
    ToolFileError,
    UnknownTool,
    text_of,
)
from callspan.network import grant_network
from callspan.report import broken, directories, failure, invalid
from callspan.snippet import Session

__all__ = [
    "BadResult",
    "ToolFailure",
    "ToolFileError",
    "UnknownTool",
    "call_tool",
    "describe_tool_file",
    "forget_tools",
    "grant_network",
    "load_tool_file",
    "reseed",
    "run_code",
    "set_environment",
    "warm",
]

MAX_CODE = 512 << 10
"""Characters of a file's code that other children are given; a larger file is compiled by each."""

_tools: dict[str, tuple[Tool, str]] = {}
_session: Session | None = None
_runner: asyncio.Runner | None = None


def load_tool_file(path: str, describe: bool = True, source: str | bytes | None = None, code: str = "") -> str:
    """Import one tool file and return its declarations: `[{"name", "description", "parameters", "policy"?}, …]`.

    Loading a file again replaces its tools. Tools of a broken file are not kept. A child that waits for a call needs
    no declarations, which cost more than all the rest: without `describe` there are none. `source` is the file's text,
    for who has read it already; `code` is what `describe_tool_file` made of it, which saves compiling it.
    """
    if not path.endswith(".py"):
        raise ToolFileError(f"{Path(path).name}:1: not a Python file: its name must end in .py")
    file = os.path.abspath(path)  # noqa: PTH100  (in a fresh child each module that is used costs its pages)
    directory, _, name = file.rpartition("/")
    directories.add(directory)
    if directory not in sys.path:
        sys.path.append(directory)  # last: a tool named json.py must not hide the library
    module_name = f"callspan_tool_{name.removesuffix('.py')}"
    start = len(decorator.defined)
    try:
        _import(module_name, file, source, code)
        found = [tool for tool in decorator.defined[start:] if tool.function.__module__ == module_name]
    finally:
        del decorator.defined[start:]
    if not describe:
        _register(found, file)
        return "[]"
    try:
        declared = [tool.declaration() for tool in found]
    except BaseException as error:  # noqa: BLE001  (a type hint of the tool's may raise anything)
        raise ToolFileError(broken(Path(file), error)) from None
    _register(found, file)
    return json.dumps(declared, ensure_ascii=False, allow_nan=False)


def describe_tool_file(path: str, source: str | bytes | None = None) -> str:
    """Import a tool file; gives `{"tools": its declarations, "code": its code}` for the executor and other children.

    The code is as little to be trusted as the file itself: only a child that would run the file may be given it.
    """
    declared = load_tool_file(path, True, source)
    code = marshal.dumps(_compiled(os.path.abspath(path), source)).hex()  # noqa: PTH100  (as above)
    return f'{{"tools":{declared},"code":"{code if len(code) <= MAX_CODE else ""}"}}'


def forget_tools() -> None:
    """Be as before any file was loaded."""
    _tools.clear()
    sys.path[:] = [directory for directory in sys.path if directory not in directories]
    directories.clear()


def warm(name: str | None = None) -> None:
    """Make what the first call would have to make: of one loaded tool, or of each; of a snippet, if there is no tool.

    And go through a call, so that the memory that any call changes is copied now and not when one comes.
    """
    global _runner
    tools = [_tools[name][0]] if name else [tool for tool, _ in _tools.values()]
    for tool in tools:
        tool.warm()
    if not tools:
        Session().run("0", "[]")
        return
    run(_rehearsal, '{"text":"","numbers":[1]}')
    if any(tool.function.__code__.co_flags & inspect.CO_COROUTINE for tool in tools):
        run(_rehearsal_async, "{}")
        _runner = asyncio.Runner()
        _runner.get_loop()


def _rehearse(text: str, numbers: list[float]) -> dict[str, object]:
    return {"text": text, "numbers": numbers}


async def _rehearse_async() -> None:
    await asyncio.sleep(0)


_rehearsal = Tool(_rehearse, "rehearsal", None)
_rehearsal_async = Tool(_rehearse_async, "rehearsal", None)


def call_tool(name: str, arguments_json: str) -> str:
    """Call a loaded tool and return its result as JSON text.

    Raises ToolFailure for what the tool raises and for arguments that its types refuse, BadResult for a result that is
    not JSON, UnknownTool for a name that no file defines.
    """
    if name not in _tools:
        raise UnknownTool(f"no tool is named `{text_of(name, 100)}`")
    return run(_tools[name][0], arguments_json)


def run(tool: Tool, arguments_json: str) -> str:
    """Call one tool; what it tells meanwhile goes to the channel, if there is one."""
    try:
        arguments = tool.arguments(arguments_json)
    except ValidationError as error:
        raise ToolFailure("InvalidArguments", invalid(error)) from None
    outbox = Outbox()
    for parameter in tool.contexts:
        arguments[parameter] = Context(outbox)
    logs.restart()
    try:
        result = tool.function(**arguments)
        if type(result) is types.CoroutineType:
            result = _awaited(result)
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt are the tool's failures as well)
        raise failure(error) from None
    text = encode(result, outbox)
    outbox.send()
    return text


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it as asyncio.run does, in the event loop that was made ahead if there is one."""
    global _runner
    runner, _runner = _runner or asyncio.Runner(), None
    with runner:
        return runner.run(coroutine)


def run_code(code: str, tools_json: str) -> str:
    """Run a snippet in this process's one session; `tools_json` is a list of declarations, which become functions.

    Gives JSON text. Raises ToolFailure for what the snippet raises.
    """
    global _session
    if _session is None:
        _session = Session()
    return _session.run(code, tools_json)


def reseed() -> None:
    """New seeds for the generators that a forked child would share with its siblings."""
    random.seed()
    if generators := sys.modules.get("numpy.random"):
        generators.seed()


def set_environment(environment_json: str) -> None:
    """Give the tool the variables that its policy grants: `{"NAME": "value", …}`."""
    os.environ.update(json.loads(environment_json))


def _import(module_name: str, file: str, source: str | bytes | None, code: str) -> None:
    module = types.ModuleType(module_name)
    module.__file__ = file
    sys.modules[module_name] = module  # dataclasses and type hints look their module up
    try:
        body = marshal.loads(bytes.fromhex(code)) if code else _compiled(file, source)  # noqa: S302  (it runs here anyway)
        exec(body, module.__dict__)  # noqa: S102  (this is what loading a tool file means)
    except BaseException as error:  # noqa: BLE001  (a file that calls sys.exit is broken, too)
        del sys.modules[module_name]
        raise ToolFileError(broken(Path(file), error)) from None


def _compiled(file: str, source: str | bytes | None) -> types.CodeType:
    return compile(Path(file).read_bytes() if source is None else source, file, "exec", dont_inherit=True)


def _register(found: list[Tool], file: str) -> None:
    seen: set[str] = set()
    for tool in found:
        other = _tools[tool.name][1] if tool.name in _tools else file
        if tool.name in seen or other != file:
            place = f"{Path(file).name}:{tool.function.__code__.co_firstlineno}"
            where = "above" if tool.name in seen else f"in {Path(other).name}"
            raise ToolFileError(f"{place}: a tool named `{tool.name}` is already defined {where}: rename one of them")
        seen.add(tool.name)
    for name in [name for name, (_, origin) in _tools.items() if origin == file]:
        del _tools[name]
    _tools.update({tool.name: (tool, file) for tool in found})
