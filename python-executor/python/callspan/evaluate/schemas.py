"""JSON Schema's validator, which the package does not need for anything else."""

from collections.abc import Iterator
from typing import Any

from callspan.evaluate.errors import Trouble


def fault(schema: dict[str, Any]) -> str:
    """What makes a schema none, or one that no value could be held against; "" if nothing does."""
    validator = _draft()
    # With formats: a pattern that is no regular expression is one of those, and would break the run at the first call.
    checked = validator(validator.META_SCHEMA, format_checker=validator.FORMAT_CHECKER)
    error = next(checked.iter_errors(schema), None)
    if error is not None:
        return f"{error.json_path.removeprefix('$')}: {error.message}".removeprefix(": ")
    return _dangling(schema)


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a schema without fault allows the value."""
    return _draft()(schema).is_valid(value)


def _dangling(schema: dict[str, Any]) -> str:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    for ref in _refs(schema):
        try:
            resolver.lookup(ref)
        except Unresolvable:
            return f"{ref} is nowhere in it"
    return ""


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from _refs(one)


def _draft() -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        raise Trouble("jsonschema is missing: calls are checked with it", "pip install jsonschema") from None
    return Draft202012Validator
