//! Which keywords mean something here, and what is said of the others.

use serde_json::Value;

/// Honoured.
const KNOWN: [&str; 25] = [
    "type",
    "enum",
    "const",
    "pattern",
    "minLength",
    "maxLength",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
];

/// They say something about values, and what they say cannot be kept.
const UNSUPPORTED: [&str; 17] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedItems",
    "minProperties",
    "maxProperties",
    "$dynamicRef",
    "$recursiveRef",
];

/// They say nothing about values.
const ANNOTATIONS: [&str; 19] = [
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "$comment",
    "$schema",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$vocabulary",
    "$defs",
    "definitions",
];

pub(super) enum Keyword {
    Known,
    Unsupported,
    Annotation,
    /// Neither of the specification's nor an extension's by its name: perhaps mistyped.
    Unknown,
}

pub(super) fn keyword(name: &str, value: &Value) -> Keyword {
    if KNOWN.contains(&name) {
        Keyword::Known
    } else if UNSUPPORTED.contains(&name) {
        if says_nothing(name, value) {
            Keyword::Annotation
        } else {
            Keyword::Unsupported
        }
    } else if ANNOTATIONS.contains(&name) || name.starts_with("x-") {
        Keyword::Annotation
    } else {
        Keyword::Unknown
    }
}

/// An unsupported keyword with a value that all values satisfy.
fn says_nothing(name: &str, value: &Value) -> bool {
    match name {
        "minProperties" => value.as_f64() == Some(0.0),
        "unevaluatedItems" | "propertyNames" => *value == Value::Bool(true),
        "not" => *value == Value::Bool(false),
        "patternProperties" | "dependentRequired" | "dependentSchemas" | "dependencies" => {
            value.as_object().is_some_and(serde_json::Map::is_empty)
        }
        _ => false,
    }
}
