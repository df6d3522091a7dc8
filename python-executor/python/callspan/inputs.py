"""A tool's parameters: the schema that the model is told, and the validator that a call's arguments pass.

The arguments are validated as a typed dictionary instead of a model class: any parameter name is allowed, and a
parameter that is left out keeps the function's own default, whatever that is. The schema is only made where tools are
described. The validator is made anew in each process that waits for a call, so for the common types it is put
together from ready parts, which takes a tenth of the time that pydantic needs for a new typed dictionary.
"""

import datetime
import inspect
import json
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import CoreConfig, SchemaValidator
from pydantic_core.core_schema import CoreSchema, typed_dict_field, typed_dict_schema
from typing_extensions import TypedDict

from callspan.context import Context
from callspan.errors import ToolDefinitionError
from callspan.schema import plain, without_null

Refuse = Callable[[str], ToolDefinitionError]

_ATOMS = {str, int, float, bool, list, dict, types.NoneType, datetime.date, datetime.datetime, datetime.time}


class Inputs:
    """The parameters of one function, without those that the executor fills in itself."""

    def __init__(self, function: Callable[..., Any], refuse: Refuse) -> None:
        """Read the signature; `refuse` makes an error that names the tool's place."""
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError as error:
            raise refuse(f"a type hint uses {error.name!r}, which is not defined in its file") from error
        self._refuse = refuse
        self._parameters: dict[str, inspect.Parameter] = {}
        self._hints: dict[str, Any] = {}
        self.contexts: list[str] = []
        """The names of the parameters that take a Context."""
        for name, parameter in inspect.signature(function).parameters.items():
            _check(parameter, hints, refuse)
            if hints[name] is Context:
                self.contexts.append(name)
            else:
                self._parameters[name] = parameter
                self._hints[name] = hints[name]

    def validator(self) -> SchemaValidator:
        """What makes arguments of JSON text, or refuses them."""
        if all(_is_common(hint) for hint in self._hints.values()):
            fields = {
                name: typed_dict_field(_ready(hint), required=not self._has_default(name))
                for name, hint in self._hints.items()
            }
            config = CoreConfig(extra_fields_behavior="forbid", allow_inf_nan=False)
            return SchemaValidator(typed_dict_schema(fields, extra_behavior="forbid", config=config))
        try:
            return self._adapter(self._hints).validator
        except PydanticUserError as error:
            raise self._no_json(error) from error

    def schema(self, documented: dict[str, str]) -> dict[str, Any]:
        """The JSON Schema, with the docstring's descriptions of the parameters."""
        if unknown := documented.keys() - self._parameters.keys():
            if min(unknown) in self.contexts:
                why = f"the docstring describes `{min(unknown)}`, which the model does not pass: take it out"
            else:
                why = f"the docstring describes `{min(unknown)}`, which is not a parameter"
            raise self._refuse(why)
        hints = {name: _documented(hint, documented.get(name)) for name, hint in self._hints.items()}
        try:
            schema = plain(self._adapter(hints).json_schema())
        except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
            raise self._no_json(error) from error
        if foreign := schema.get("properties", {}).keys() - self._parameters.keys():
            raise self._refuse(f"`{min(foreign)}` is the alias of a parameter: give the parameter itself that name")
        return _finish(schema, self._parameters)

    def nullable(self) -> list[str]:
        """The parameters that may be null although the schema does not say so: null is their default as well."""
        names = [name for name, parameter in self._parameters.items() if parameter.default is None]
        return [name for name in names if _takes_null(self._hints[name])]

    def _adapter(self, hints: dict[str, Any]) -> TypeAdapter[dict[str, Any]]:
        fields = {name: NotRequired[hint] if self._has_default(name) else hint for name, hint in hints.items()}
        arguments = TypedDict("Arguments", fields)  # type: ignore[operator]
        arguments.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
        return TypeAdapter(arguments)

    def _has_default(self, name: str) -> bool:
        return self._parameters[name].default is not inspect.Parameter.empty

    def _no_json(self, error: PydanticUserError | PydanticInvalidForJsonSchema) -> ToolDefinitionError:
        return self._refuse(f"a type hint has no JSON form: {error.message.splitlines()[0]}")


def _takes_null(hint: Any) -> bool:
    try:
        TypeAdapter(hint).validate_python(None)
    except Exception:  # noqa: BLE001  (a type's own validator may raise anything)
        return False
    return True


def _is_common(hint: Any) -> bool:
    """Whether the type means the same alone and within a dictionary: it has no settings or definitions of its own."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *extras = get_args(hint)
        return _is_common(inner) and all(_is_constraint(extra) for extra in extras)
    if origin is list or origin is dict or origin is Union or origin is types.UnionType:
        return all(_is_common(part) for part in get_args(hint))
    return origin is Literal or any(hint is atom for atom in _ATOMS)


def _is_constraint(extra: Any) -> bool:
    if isinstance(extra, FieldInfo):
        return extra.alias is None and extra.validation_alias is None and extra.is_required()
    return type(extra).__module__ == "annotated_types"


def _ready(hint: Any) -> CoreSchema:
    try:
        return _kept(hint)
    except TypeError:  # constraints may hold what has no hash
        return TypeAdapter(hint).core_schema


@cache
def _kept(hint: Any) -> CoreSchema:
    return TypeAdapter(hint).core_schema


def _check(parameter: inspect.Parameter, hints: dict[str, Any], refuse: Refuse) -> None:
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


def _finish(schema: dict[str, Any], parameters: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """Put the parts into one order, and say the defaults that a model can make use of."""
    properties = {}
    for name, part in schema.get("properties", {}).items():
        default = parameters[name].default
        part = without_null(part) if default is None else part
        if type(default) in (str, int, float, bool) and json.dumps(default) not in ("NaN", "Infinity", "-Infinity"):
            part = part | {"default": default}
        properties[name] = part
    result = {"type": "object", "properties": properties, "required": schema.get("required", [])}
    result["additionalProperties"] = False
    return result | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
