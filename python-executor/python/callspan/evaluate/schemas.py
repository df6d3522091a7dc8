"""JSON Schema's validator, which the package does not need for anything else."""

from collections.abc import Iterator
from typing import Any

from callspan.evaluate.errors import Trouble


def fault(schema: dict[str, Any]) -> str:
    """What makes a schema none, or one that no value could be held against; "" if nothing does."""
    validator = _draft()
    # With formats: a pattern that is no regular expression is one of those, and would break the run at the first call.
    checked = validator(validator.META_SCHEMA, format_checker=validator.FORMAT_CHECKER)
    try:
        error = next(checked.iter_errors(schema), None)
        if error is not None:
            return f"{error.json_path.removeprefix('$')}: {error.message}".removeprefix(": ")
        return _dangling(schema)
    except RecursionError:
        return "it is nested too deep"


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a schema without fault allows the value; what is nested too deep to be told is not allowed."""
    try:
        return _draft()(schema).is_valid(value)
    except RecursionError:
        return False


def _dangling(schema: dict[str, Any]) -> str:
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
    targets: dict[str, Any] = {}
    for ref in _refs(schema):
        try:
            targets[ref] = resolver.lookup(ref).contents
        except Unresolvable:
            return f"{ref} is nowhere in it"
    done: set[int] = set()
    for ref, target in targets.items():
        if _loops(target, targets, (), done):
            return f"{ref} leads back to itself, so that no value can be held against it"
    return ""


_REFS = ("$ref", "$dynamicRef")


def _refs(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema[key] for key in _REFS if isinstance(schema.get(key), str))
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from _refs(one)


def _loops(schema: Any, targets: dict[str, Any], above: tuple[int, ...], done: set[int]) -> bool:
    """Whether a schema asks itself of the same value again; of what is within it it may, as that ends."""
    if not isinstance(schema, dict) or id(schema) in done:
        return False
    if id(schema) in above:
        return True
    of_same = [targets[schema[key]] for key in _REFS if isinstance(schema.get(key), str)]
    of_same += [schema.get(key) for key in ("not", "if", "then", "else")]
    of_same += [one for key in ("allOf", "anyOf", "oneOf") for one in schema.get(key, [])]
    of_same += schema.get("dependentSchemas", {}).values()
    if any(_loops(one, targets, (*above, id(schema)), done) for one in of_same):
        return True
    done.add(id(schema))
    return False


def _draft() -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        raise Trouble("jsonschema is missing: calls are checked with it", "pip install jsonschema") from None
    return Draft202012Validator
