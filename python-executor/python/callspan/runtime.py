"""What the executor's embedded interpreter calls: load one tool file, call one tool.

Both functions take and return JSON text, so that nothing but strings crosses between Rust and Python. Every failure is
one of the exceptions defined here, with a message that is safe to show: the tool's own exceptions are read without
trusting their methods.
"""

import asyncio
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callspan import decorator
from callspan.decorator import Tool, ToolDefinitionError
from callspan.encode import BadResult, encode, safe_name, text_of

__all__ = ["BadResult", "ToolFailure", "ToolFileError", "UnknownTool", "call_tool", "load_tool_file"]

MAX_MESSAGE = 2000
MAX_FRAMES = 20


class ToolFileError(Exception):
    """A tool file that cannot be used; the message begins with the file and the line."""


class UnknownTool(LookupError):  # noqa: N818  (named like its siblings below)
    """No loaded file defines a tool of this name."""


class ToolFailure(Exception):  # noqa: N818  (a name of the contract with the executor)
    """What a tool raised, as plain text."""

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        """Keep the parts as attributes: the executor reads them one by one."""
        super().__init__(f"{type_name}: {message}")
        self.type_name = type_name
        self.message = message
        self.traceback = traceback


_tools: dict[str, tuple[Tool, str]] = {}
_directories: set[str] = set()


def load_tool_file(path: str) -> str:
    """Import one tool file and return its declarations: `[{"name", "description", "parameters"}, …]`.

    Loading a file again replaces its tools. Tools of a broken file are not kept.
    """
    file = Path(path).resolve()
    directory = str(file.parent)
    _directories.add(directory)
    if directory not in sys.path:
        sys.path.append(directory)  # last: a tool named json.py must not hide the library
    module_name = f"callspan_tool_{file.stem}"
    start = len(decorator.defined)
    try:
        _import(file, module_name)
        found = [tool for tool in decorator.defined[start:] if tool.function.__module__ == module_name]
    finally:
        del decorator.defined[start:]
    _register(found, file)
    return json.dumps([tool.declaration() for tool in found], ensure_ascii=False, allow_nan=False)


def call_tool(name: str, arguments_json: str) -> str:
    """Call a loaded tool and return its result as JSON text.

    Raises ToolFailure for what the tool raises and for arguments that its types refuse, BadResult for a result that is
    not JSON, UnknownTool for a name that no file defines.
    """
    if name not in _tools:
        raise UnknownTool(f"no tool is named `{text_of(name, 100)}`")
    tool, _ = _tools[name]
    try:
        arguments = tool.adapter.validate_json(arguments_json)
    except ValidationError as error:
        raise ToolFailure("InvalidArguments", _invalid(error)) from None
    try:
        result = tool.function(**arguments)
        if type(result) is types.CoroutineType:
            result = asyncio.run(result)
    except BaseException as error:  # noqa: BLE001  (SystemExit and KeyboardInterrupt are the tool's failures as well)
        raise _failure(error) from None
    return encode(result)


def _import(file: Path, module_name: str) -> None:
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ToolFileError(f"{file.name}:1: not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and type hints look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # noqa: BLE001  (a file that calls sys.exit is broken, too)
        del sys.modules[module_name]
        raise ToolFileError(_broken(file, error)) from None


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
    return f"{place}: {safe_name(kind)}: {_message(error)}"


def _register(found: list[Tool], file: Path) -> None:
    seen: set[str] = set()
    for tool in found:
        place = f"{file.name}:{tool.function.__code__.co_firstlineno}"
        other = _tools.get(tool.name, (None, str(file)))[1]
        if tool.name in seen or other != str(file):
            where = "above" if tool.name in seen else f"in {Path(other).name}"
            raise ToolFileError(f"{place}: a tool named `{tool.name}` is already defined {where}: rename one of them")
        seen.add(tool.name)
    for name in [name for name, (_, origin) in _tools.items() if origin == str(file)]:
        del _tools[name]
    _tools.update({tool.name: (tool, str(file)) for tool in found})


def _invalid(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        place = ".".join(str(step) for step in item["loc"]) or "arguments"
        parts.append(f"`{place}`: {item['msg']}")
    return text_of("; ".join(parts), MAX_MESSAGE)


def _failure(error: BaseException) -> ToolFailure:
    return ToolFailure(safe_name(type(error)), _message(error), "\n".join(_frames(error)))


def _message(error: BaseException) -> str:
    """An exception's text; its __str__ is the tool's code, so it may raise or return anything."""
    try:
        text: Any = str(error)
    except BaseException:  # noqa: BLE001  (whatever it raises, the call is answered)
        return "(its message could not be read)"
    return text_of(text, MAX_MESSAGE)


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
