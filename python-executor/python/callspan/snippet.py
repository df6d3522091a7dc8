"""Code that a model wrote, run in a namespace in which the tools are functions.

The namespace lives as long as the process, so that a session's snippets build on each other. A snippet may do to this
process whatever Python lets it; what is put right behind it is what would keep its own answer, or the next snippet's,
from being given.
"""

import ast
import asyncio
import builtins
import contextlib
import inspect
import json
import keyword
import re
import sys
import types
from collections.abc import Callable
from typing import Any

from callspan import channel, logs
from callspan.artefact import Outbox
from callspan.encode import encode
from callspan.errors import BadResult, ToolError, ToolFailure, message_of, safe_name, text_of
from callspan.report import shortened

MAX_REPR = 10_000
MAX_LINE = 200

_VALUE = "<value>"
_builtins = dict(vars(builtins))
_restore = vars(builtins).update
_settrace, _setprofile = sys.settrace, sys.setprofile
_recursion_limit = sys.getrecursionlimit()


class Session:
    """One namespace, and what was run in it."""

    def __init__(self) -> None:
        """Make the module that the snippets are; it stands for the program's main one, as scripts expect."""
        self._module = types.ModuleType("__main__")
        self._space = self._module.__dict__
        self._sources: dict[str, list[str]] = {}
        self._runner = asyncio.Runner()
        self._tools = ""

    def run(self, code: str, tools_json: str) -> str:
        """Run one snippet; gives the JSON of its last expression's value, or the JSON of the value's repr."""
        sys.modules["__main__"] = self._module
        if tools_json != self._tools:
            self._tools = tools_json
            self._space.update({_identifier(tool["name"]): _function(tool) for tool in json.loads(tools_json)})
        outbox, outputs = Outbox(), (sys.stdout, sys.stderr)
        logs.restart()
        try:
            value = self._value(code)
        except BaseException as error:  # noqa: BLE001  (whatever a snippet raises, its call is answered)
            _put_right(outputs)
            message = message_of(error)
            _put_right(outputs)
            raise self._failure(error, message) from None
        _put_right(outputs)
        try:
            text = encode(value, outbox)
        except BadResult:
            shown = _bounded_repr(value)
            _put_right(outputs)
            return encode(shown)
        outbox.send()
        return text

    def _value(self, code: str) -> Any:
        file = f"<snippet {len(self._sources) + 1}>" if self._sources else "<snippet>"
        self._sources[file] = re.split(r"\r\n|\r|\n", code)
        tree = ast.parse(code, file)
        if tree.body and isinstance(last := tree.body[-1], ast.Expr):
            # No name in a program can be this one.
            target = ast.copy_location(ast.Name(_VALUE, ast.Store()), last)
            tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        compiled = compile(tree, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        try:
            if compiled.co_flags & inspect.CO_COROUTINE:
                self._runner.run(eval(compiled, self._space))  # noqa: S307  (likewise)
            else:
                exec(compiled, self._space)  # noqa: S102  (this is what running a snippet means)
            return self._space.get(_VALUE)
        finally:
            # Before any other line of ours: each might be traced, or need a builtin.
            _settrace(None)
            _setprofile(None)
            _restore(_builtins)
            self._space.pop(_VALUE, None)

    def _failure(self, error: BaseException, message: str) -> ToolFailure:
        frames = self._frames(error)
        if type(error) in (SyntaxError, IndentationError, TabError):
            file, line = error.filename, error.lineno
            if type(file) is str and type(line) is int and file in self._sources:
                frames.append(self._frame(file, line, ""))
                message = text_of(str(error.msg), MAX_LINE)
        return ToolFailure(safe_name(type(error)), message, "\n".join(frames))

    def _frames(self, error: BaseException) -> list[str]:
        step = BaseException.__dict__["__traceback__"].__get__(error)
        frames: list[str] = []
        while step is not None:
            code = step.tb_frame.f_code
            if code.co_filename in self._sources:
                frames.append(self._frame(code.co_filename, step.tb_lineno, f" in {code.co_name}"))
            step = step.tb_next
        return shortened(frames)

    def _frame(self, file: str, line: int, where: str) -> str:
        lines = self._sources[file]
        text = lines[line - 1].strip()[:MAX_LINE] if 0 < line <= len(lines) else ""
        return text_of(f"{file}:{line}{where}\n    {text}", 2 * MAX_LINE)


def _put_right(outputs: tuple[Any, Any]) -> None:
    """Undo what a snippet may have done to the interpreter that would spoil its own answer."""
    _restore(_builtins)
    _settrace(None)
    _setprofile(None)
    sys.setrecursionlimit(_recursion_limit)
    sys.stdout, sys.stderr = outputs
    with contextlib.suppress(OSError, ValueError):  # it may have closed them
        sys.stdout.flush()
        sys.stderr.flush()


def _bounded_repr(value: Any) -> str:
    """What Python shows of a value that has no JSON form; its __repr__ is the snippet's code."""
    try:
        text = repr(value)
    except BaseException as error:  # noqa: BLE001  (whatever it raises, the call is answered)
        return f"<{safe_name(type(value))}: its repr raises {safe_name(type(error))}>"
    short = text_of(text, MAX_REPR)
    return short if str.__len__(text) <= MAX_REPR else f"{short}…"


def _identifier(name: str) -> str:
    """A tool's name as one of Python's."""
    made = re.sub(r"\W", "_", name)
    return made if made.isidentifier() and not keyword.iskeyword(made) else f"_{made}"


def _function(tool: dict[str, Any]) -> Callable[..., Any]:
    """A function that asks for a call of the tool, and waits for its result."""
    name = _identifier(tool["name"])
    schema = tool.get("parameters") or {}
    required = schema.get("required") or []
    names = sorted(schema.get("properties") or {}, key=lambda one: one not in required)

    def call(*values: Any, **arguments: Any) -> Any:
        if len(values) > len(names):
            raise TypeError(f"{name}() takes {len(names)} arguments, and {len(values)} were given")
        for known, value in zip(names, values, strict=False):
            if known in arguments:
                raise TypeError(f"{name}() got two values for `{known}`")
            arguments[known] = value
        if unknown := [one for one in arguments if one not in names]:
            raise TypeError(f"{name}() has no parameter `{unknown[0]}`; it has {', '.join(names) or 'none'}")
        if missing := [one for one in required if one not in arguments]:
            raise TypeError(f"{name}() needs `{missing[0]}`")
        return _ask(tool["name"], arguments)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = _documentation(tool.get("description") or "", schema)
    if all(_identifier(one) == one for one in names):
        call.__signature__ = inspect.Signature([_parameter(one, schema) for one in names])  # type: ignore[attr-defined]
    return call


def _parameter(name: str, schema: dict[str, Any]) -> inspect.Parameter:
    default = None if name not in (schema.get("required") or []) else inspect.Parameter.empty
    default = schema["properties"][name].get("default", default)
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _documentation(description: str, schema: dict[str, Any]) -> str:
    known = [
        f"    {name}: {part['description']}"
        for name, part in (schema.get("properties") or {}).items()
        if part.get("description")
    ]
    return "\n".join([description, "", "Args:", *known]) if known else description


def _ask(name: str, arguments: dict[str, Any]) -> Any:
    if channel.current is None:
        raise ToolError("Unavailable", "nobody is here to call tools")
    payload = f'{{"name":{json.dumps(name)},"arguments":{encode(arguments, what="arguments")}}}'
    answer = json.loads(channel.current.ask("tool", payload))
    if "ok" in answer:
        return answer["ok"]
    kind, message = answer["error"]["type"], answer["error"]["message"]
    if kind == "PermissionError":
        raise PermissionError(message)
    raise ToolError(kind, message)
