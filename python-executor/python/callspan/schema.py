"""JSON Schemas small enough for a tiny model's prompt.

pydantic knows every Python type, but it writes for machines: titles, `$defs`, unions with null. FunctionGemma's prompt
renders only description, type, enum, items, properties and required, so each schema is brought to that plain form.
The accepted values stay the same but for one: what may be left out is not offered as null as well.
"""

from typing import Any

_SCHEMA_MAPS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames")


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline the definitions (all but recursive ones), drop titles and simplify unions."""
    definitions = schema.get("$defs", {})
    recursive: set[str] = set()
    body = {key: value for key, value in schema.items() if key != "$defs"}
    result = _plain(body, definitions, (), recursive)
    kept: dict[str, Any] = {}
    while missing := recursive - kept.keys():
        for name in sorted(missing):
            kept[name] = _plain(definitions[name], definitions, (name,), recursive)
    return result | ({"$defs": kept} if kept else {})


def _plain(schema: Any, definitions: dict[str, Any], path: tuple[str, ...], recursive: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema  # true and false are schemas too
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in path or name in recursive:
            recursive.add(name)
            return {key: value for key, value in schema.items() if key != "title"}
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain(definitions[name] | own, definitions, (*path, name), recursive)

    def go(part: Any) -> Any:
        return _plain(part, definitions, path, recursive)

    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title":
            continue
        if key in _SCHEMA_MAPS:
            result[key] = {name: go(part) for name, part in value.items()}
        elif key in _SCHEMA_LISTS:
            result[key] = [go(part) for part in value]
        elif key in _SCHEMAS:
            if value not in ({}, True):
                result[key] = go(value)
        elif key == "const":
            result["enum"] = [value]
        else:
            result[key] = value
    if "default" in result and result["default"] is None:
        del result["default"]
        return without_null(_simple_union(result))
    return _simple_union(result)


def _simple_union(schema: dict[str, Any]) -> dict[str, Any]:
    """`anyOf` of plain types becomes one `type` list; an `anyOf` of one becomes that one."""
    options = schema.get("anyOf")
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(options) == 1:
        return options[0] | rest
    if all(option.keys() == {"type"} and isinstance(option["type"], str) for option in options):
        return {"type": [option["type"] for option in options]} | rest
    return schema


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that may be left out: no need to say that it may be null as well."""
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "type")}
    if isinstance(schema.get("type"), list):
        types = [name for name in schema["type"] if name != "null"]
        return {"type": types[0] if len(types) == 1 else types} | rest
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    return _simple_union({"anyOf": options} | rest) if options else schema
