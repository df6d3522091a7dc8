"""What the executor's embedded interpreter calls: load one tool file, call one tool, run a snippet, prepare a child.

What goes in and out is JSON text, so that nothing but strings crosses between Rust and Python. Every failure is one of
the exceptions of `callspan.errors`, with a message that is safe to show: the tool's own exceptions are read without
trusting their methods.
"""

import asyncio
import json
import marshal
import os
import random
import sys
import types
from pathlib import Path

from pydantic import ValidationError

from callspan import decorator, logs
from callspan.artefact import Outbox
from callspan.context import Context
from callspan.decorator import Tool
from callspan.encode import encode
from callspan.errors import (
    MAX_MESSAGE,
    BadResult,
    ToolDefinitionError,
    ToolFailure,
    ToolFileError,
    UnknownTool,
    message_of,
    safe_name,
    text_of,
)
from callspan.network import grant_network
from callspan.snippet import Session

__all__ = [
    "BadResult",
    "ToolFailure",
    "ToolFileError",
    "UnknownTool",
    "call_tool",
    "describe_tool_file",
    "grant_network",
    "load_tool_file",
    "reseed",
    "run_code",
    "set_environment",
    "warm",
]

MAX_FRAMES = 20
MAX_CODE = 512 << 10
"""Characters of a file's code that other children are given; a larger file is compiled by each."""

_tools: dict[str, tuple[Tool, str]] = {}
_directories: set[str] = set()
_session: Session | None = None


def _rehearse(text: str, numbers: list[float]) -> dict[str, object]:
    return {"text": text, "numbers": numbers}


_rehearsal = Tool(_rehearse, "rehearsal", None)


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
    _directories.add(directory)
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
        raise ToolFileError(_broken(Path(file), error)) from None
    _register(found, file)
    return json.dumps(declared, ensure_ascii=False, allow_nan=False)


def describe_tool_file(path: str, source: str | bytes | None = None) -> str:
    """Import a tool file; gives `{"tools": its declarations, "code": its code}` for the executor and other children.

    The code is as little to be trusted as the file itself: only a child that would run the file may be given it.
    """
    declared = load_tool_file(path, True, source)
    code = marshal.dumps(_compiled(os.path.abspath(path), source)).hex()  # noqa: PTH100  (as above)
    return f'{{"tools":{declared},"code":"{code if len(code) <= MAX_CODE else ""}"}}'


def warm(name: str | None = None) -> None:
    """Make what the first call would have to make: of one loaded tool, or of each."""
    for tool, _ in [_tools[name]] if name else _tools.values():
        tool.warm()
    run(_rehearsal, '{"text":"","numbers":[1]}')  # a call's own memory is copied now, and not when the call comes


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
        raise ToolFailure("InvalidArguments", _invalid(error)) from None
    outbox = Outbox()
    for parameter in tool.contexts:
        arguments[parameter] = Context(outbox)
    logs.restart()
    try:
        result = tool.function(**arguments)
        if type(result) is types.CoroutineType:
            result = asyncio.run(result)
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt are the tool's failures as well)
        raise _failure(error) from None
    text = encode(result, outbox)
    outbox.send()
    return text


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
        raise ToolFileError(_broken(Path(file), error)) from None


def _compiled(file: str, source: str | bytes | None) -> types.CodeType:
    return compile(Path(file).read_bytes() if source is None else source, file, "exec", dont_inherit=True)


def _broken(file: Path, error: BaseException) -> str:
    kind = type(error)
    if kind is ToolDefinitionError and error.line:
        return f"{Path(error.file).name}:{error.line}: {error}"
    if kind is FileNotFoundError and error.filename == str(file):
        return f"{file.name}:1: no such file: {file}"
    if issubclass(kind, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno or 1}: {safe_name(kind)}: {error.msg}"
    frames = _frames(error)
    place = frames[-1].split(" in ")[0] if frames else f"{file.name}:1"
    return f"{place}: {safe_name(kind)}: {message_of(error)}"


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


def _invalid(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        place = ".".join(str(step) for step in item["loc"]) or "arguments"
        parts.append(f"`{place}`: {item['msg']}")
    return text_of("; ".join(parts), MAX_MESSAGE)


def _failure(error: BaseException) -> ToolFailure:
    return ToolFailure(safe_name(type(error)), message_of(error), "\n".join(_frames(error)))


def _frames(error: BaseException) -> list[str]:
    """The frames in the user's own files, outermost first, by file name only: paths would tell about the host."""
    step = BaseException.__dict__["__traceback__"].__get__(error)
    lines: list[str] = []
    while step is not None:
        code = step.tb_frame.f_code
        if str(Path(code.co_filename).parent) in _directories:
            lines.append(f"{Path(code.co_filename).name}:{step.tb_lineno} in {code.co_name}")
        step = step.tb_next
    return lines[-MAX_FRAMES:]
