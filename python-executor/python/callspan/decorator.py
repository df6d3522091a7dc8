"""The `@tool` decorator: a function's signature becomes a name, a description, a JSON Schema and a validator.

All checks happen when the file is loaded, so that a tool that cannot be described never reaches the model.
The arguments are validated as a typed dictionary instead of a model class: any parameter name is allowed, and a
parameter that the model leaves out keeps the function's own default, whatever that is.
"""

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypeVar, get_args, get_origin, get_type_hints, overload

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict

from callspan.docstring import parse_docstring
from callspan.schema import plain, without_null

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_Function = TypeVar("_Function", bound=Callable[..., Any])


class ToolDefinitionError(TypeError):
    """A function that cannot be a tool as it is written; `file` and `line` say where it stands."""

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        """Keep the place beside the message, for the one report at the edge."""
        super().__init__(message)
        self.file = file
        self.line = line


@dataclass(frozen=True)
class Tool:
    """A function with everything that the model and the executor need to know about it."""

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    adapter: TypeAdapter[dict[str, Any]]

    def declaration(self) -> dict[str, Any]:
        """What the model is told."""
        return {"name": self.name, "description": self.description, "parameters": self.parameters}


defined: list[Tool] = []
"""Every tool in the order of definition; the loader takes those of the file that it has just imported."""


@overload
def tool(function: _Function, /) -> _Function: ...
@overload
def tool(*, name: str | None = None, description: str | None = None) -> Callable[[_Function], _Function]: ...
def tool(function: Any = None, /, *, name: str | None = None, description: str | None = None) -> Any:
    """Offer a function to the model. It stays an ordinary function: the decorator hands it back unchanged.

    Args:
        function: the function, when used as `@tool` without parentheses.
        name: what the model calls it; by default the function's name.
        description: what it does, in a sentence; by default the docstring's first paragraph.
    """

    def register(target: _Function) -> _Function:
        defined.append(_describe(target, name, description))
        return target

    return register if function is None else register(function)


def _describe(function: Any, name: str | None, description: str | None) -> Tool:
    if not inspect.isfunction(function):
        raise ToolDefinitionError(f"@tool is for functions, and this is a {type(function).__name__}")

    name = function.__name__ if name is None else name

    def refuse(why: str) -> ToolDefinitionError:
        code = inspect.unwrap(function).__code__
        return ToolDefinitionError(f"tool `{name}`: {why}", code.co_filename, code.co_firstlineno)

    if not _NAME.fullmatch(name):
        raise refuse(
            "a name starts with a letter, goes on with letters, digits, _ . or -, and has at most 64 characters"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise refuse("a tool returns one value: return a list instead of yielding")

    summary, documented = parse_docstring(function.__doc__)
    signature = inspect.signature(function)
    if unknown := documented.keys() - signature.parameters.keys():
        raise refuse(f"the docstring describes `{min(unknown)}`, which is not a parameter")

    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise refuse(f"a type hint uses {error.name!r}, which is not defined above the tool") from error

    fields = {}
    for parameter in signature.parameters.values():
        _check(parameter, hints, refuse)
        hint = _documented(hints[parameter.name], documented.get(parameter.name))
        fields[parameter.name] = hint if parameter.default is parameter.empty else NotRequired[hint]
    arguments = TypedDict("Arguments", fields)  # type: ignore[operator]
    arguments.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    try:
        adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(arguments)
        schema = plain(adapter.json_schema())
    except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
        raise refuse(f"a type hint has no JSON form: {error.message.splitlines()[0]}") from error
    if foreign := schema.get("properties", {}).keys() - signature.parameters.keys():
        raise refuse(f"`{min(foreign)}` is the alias of a parameter: give the parameter itself that name")
    return Tool(name, description or summary, _finish(schema, signature), function, adapter)


def _check(parameter: inspect.Parameter, hints: dict[str, Any], refuse: Callable[[str], ToolDefinitionError]) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise refuse(f"`{parameter}` cannot be described to the model: name each parameter")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise refuse(f"`{parameter.name}` is positional-only, and the model passes arguments by name: remove the `/`")
    if parameter.name not in hints:
        raise refuse(f"parameter `{parameter.name}` has no type hint: write for example `{parameter.name}: str`")
    if isinstance(parameter.default, FieldInfo):
        raise refuse(f"write `{parameter.name}: Annotated[…, Field(…)] = …`: a Field cannot stand for the default")


def _documented(hint: Any, text: str | None) -> Any:
    """The hint with the docstring's description, unless its own Field has one."""
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    own = any(isinstance(extra, FieldInfo) and extra.description for extra in extras)
    return hint if own or not text else Annotated[hint, Field(description=text)]


def _finish(schema: dict[str, Any], signature: inspect.Signature) -> dict[str, Any]:
    """Put the parts into one order, and say the defaults that a model can make use of."""
    properties = {}
    for name, part in schema.get("properties", {}).items():
        default = signature.parameters[name].default
        part = without_null(part) if default is None else part
        if type(default) in (str, int, float, bool) and json.dumps(default) not in ("NaN", "Infinity", "-Infinity"):
            part = part | {"default": default}
        properties[name] = part
    result = {"type": "object", "properties": properties, "required": schema.get("required", [])}
    result["additionalProperties"] = False
    return result | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
