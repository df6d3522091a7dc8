"""JSON Schema's validator, which the package does not need for anything else."""

from typing import Any

from callspan.evaluate.errors import Trouble


def fault(schema: dict[str, Any]) -> str:
    """What makes a schema none; "" if nothing does."""
    validator = _draft()
    error = next(validator(validator.META_SCHEMA).iter_errors(schema), None)
    return "" if error is None else f"{error.json_path.removeprefix('$')}: {error.message}".removeprefix(": ")


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a schema without fault allows the value."""
    return _draft()(schema).is_valid(value)


def _draft() -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        raise Trouble("jsonschema is missing: calls are checked with it", "pip install jsonschema") from None
    return Draft202012Validator
