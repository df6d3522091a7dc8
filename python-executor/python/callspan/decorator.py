"""The `@tool` decorator: a function becomes a tool, with a name, a description, parameters and a policy.

What can be seen at once is checked at once. The schema and the validator are made when they are asked for: the child
that describes a file to the executor needs the one, the child that waits for a call the other.
"""

import inspect
import re
import types
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, Unpack, overload

from pydantic_core import SchemaValidator

from callspan import policy
from callspan.docstring import parse_docstring
from callspan.errors import ToolDefinitionError
from callspan.inputs import Inputs
from callspan.quick import Quick, Unsure

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class Tool:
    """A function with everything that the model and the executor need to know about it."""

    def __init__(self, function: Callable[..., Any], name: str | None, description: str | None, **more: Any) -> None:
        """Take what the decorator was given, if it is sound."""
        if type(function) is not types.FunctionType:
            raise ToolDefinitionError(f"@tool is for functions, and this is a {type(function).__name__}")
        self.function = function
        self.name = function.__name__ if name is None else name
        self.policy = more
        self._description = description
        if type(self.name) is not str or not _NAME.fullmatch(self.name):
            raise self.refuse(
                "a name starts with a letter, goes on with letters, digits, _ . or -, and has at most 64 characters"
            )
        if function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            raise self.refuse("a tool returns one value: return a list instead of yielding")
        if more and (why := policy.wrong(more)):
            raise self.refuse(why)

    @cached_property
    def quick(self) -> Quick | None:
        """The parameters, if all are plain."""
        try:
            return Quick(self.function)
        except (Unsure, NameError):
            return None

    @cached_property
    def inputs(self) -> Inputs:
        """The parameters."""
        return Inputs(self.function, self.refuse)

    @cached_property
    def validator(self) -> SchemaValidator:
        """What a call's arguments pass."""
        return self.inputs.validator()

    def warm(self) -> None:
        """Make what the first call would have to make."""
        _ = self.quick or self.validator

    def arguments(self, arguments_json: str) -> dict[str, Any]:
        """What the function is to be called with, but for its contexts; raises pydantic's ValidationError."""
        if self.quick is not None:
            try:
                return self.quick.read(arguments_json)
            except Unsure:
                pass
        return self.validator.validate_json(arguments_json)

    @property
    def contexts(self) -> list[str]:
        """The names of the parameters that take a Context."""
        return self.quick.contexts if self.quick is not None else self.inputs.contexts

    def declaration(self) -> dict[str, Any]:
        """What the model is told; and for the executor the policy that the tool asks for, and what may be null."""
        summary, documented = parse_docstring(self.function.__doc__)
        said = {
            "name": self.name,
            "description": self._description or summary,
            "parameters": self.inputs.schema(documented),
        }
        more = {"policy": self.policy, "nullable": self.inputs.nullable()}
        return said | {key: value for key, value in more.items() if value}

    def refuse(self, why: str) -> ToolDefinitionError:
        """An error that names the tool's place."""
        code = inspect.unwrap(self.function).__code__
        return ToolDefinitionError(f"tool `{self.name}`: {why}", code.co_filename, code.co_firstlineno)


defined: list[Tool] = []
"""Every tool in the order of definition; the loader takes those of the file that it has just imported."""


@overload
def tool(function: _Function, /) -> _Function: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, **more: Unpack[policy.Policy]
) -> Callable[[_Function], _Function]: ...
def tool(function: Any = None, /, *, name: str | None = None, description: str | None = None, **more: Any) -> Any:
    """Offer a function to the model. It stays an ordinary function: the decorator hands it back unchanged.

    Args:
        function: the function, when used as `@tool` without parentheses.
        name: what the model calls it; by default the function's name.
        description: what it does, in a sentence; by default the docstring's first paragraph.
        more: the policy that the tool asks for: limits (wall_ms, cpu_s, memory_mib, scratch_mib, output_kib), grants
            (read, write, network, environment) and approval.
    """

    def register(target: _Function) -> _Function:
        defined.append(Tool(target, name, description, **more))
        return target

    return register if function is None else register(function)
