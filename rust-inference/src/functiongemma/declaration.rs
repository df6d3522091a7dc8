//! Tools to declarations.
//!
//! The reference template renders only what it knows (description, type, enum of strings, items, properties,
//! required). Where it would print something broken or drop a parameter, the repair is marked here with *Repair*.

use serde_json::{Map, Value};

use super::{
    MAX_DEPTH, Tool, control,
    prompt::Writer,
    render::RenderError,
    value::{self, Keys},
};

/// Names that the reference template takes for schema keywords and skips as parameters.
const SKIPPED_BY_REFERENCE: [&str; 5] =
    ["description", "type", "properties", "required", "nullable"];

pub(super) fn write(out: &mut Writer, tool: &Tool) -> Result<(), RenderError> {
    out.control(control::START_DECLARATION);
    out.text("declaration:");
    out.text(&tool.name);
    out.text("{description:");
    out.escaped(&tool.description);
    if let Some(schema) = tool.parameters.as_ref().filter(|schema| !schema.is_empty()) {
        out.text(",parameters:{");
        if let Some(properties) = map(schema, "properties").filter(|p| !p.is_empty()) {
            out.text("properties:");
            write_properties(out, properties, 1)?;
            out.text(",");
        }
        write_required(out, schema)?;
        // Repair: without a type the reference leaves the brace open.
        out.text("type:");
        out.escaped("OBJECT");
        out.text("}");
    }
    out.text("}");
    out.control(control::END_DECLARATION);
    Ok(())
}

fn write_properties(
    out: &mut Writer,
    properties: &Map<String, Value>,
    depth: usize,
) -> Result<(), RenderError> {
    if depth > MAX_DEPTH {
        return Err(RenderError::TooDeep(MAX_DEPTH));
    }
    out.text("{");
    for (i, (key, schema)) in value::sorted(properties).into_iter().enumerate() {
        if i > 0 {
            out.text(",");
        }
        // Repair: the reference leaves such a parameter out, though it may be required.
        if SKIPPED_BY_REFERENCE.contains(&key.as_str()) {
            out.warn(format!(
                "parameter {key} is declared here, but was never shown to the model in training"
            ));
        }
        value::write_key(out, key);
        out.text(":");
        write_property(out, key, schema, depth)?;
    }
    out.text("}");
    Ok(())
}

fn write_property(
    out: &mut Writer,
    name: &str,
    schema: &Value,
    depth: usize,
) -> Result<(), RenderError> {
    let empty = Map::new();
    let schema = schema.as_object().unwrap_or(&empty);
    out.text("{description:");
    // Repair: for an explicit null the reference prints None.
    out.escaped(
        schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    );
    let (kind, schema) = kind(out, name, schema);
    match kind.as_str() {
        "STRING" => {
            if let Some(values) = schema
                .get("enum")
                .and_then(Value::as_array)
                .filter(|v| !v.is_empty())
            {
                out.text(",enum:");
                value::write(out, &Value::Array(values.clone()), Keys::Bare, depth)?;
            }
        }
        "OBJECT" => {
            // Repair: without properties the reference takes the schema's own keywords for parameters.
            out.text(",properties:");
            write_properties(out, map(schema, "properties").unwrap_or(&empty), depth + 1)?;
            if schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|r| !r.is_empty())
            {
                out.text(",");
                write_required_list(out, schema)?;
            }
        }
        "ARRAY" => {
            if let Some(items) = map(schema, "items").filter(|items| !items.is_empty()) {
                out.text(",items:");
                write_items(out, items, depth + 1)?;
            }
        }
        _ => {}
    }
    out.text(",type:");
    out.escaped(&kind);
    out.text("}");
    Ok(())
}

/// The schema of an array's items: its keys sorted, those without a rule of their own as plain values.
fn write_items(
    out: &mut Writer,
    items: &Map<String, Value>,
    depth: usize,
) -> Result<(), RenderError> {
    out.text("{");
    for (i, (key, value)) in value::sorted(items).into_iter().enumerate() {
        if i > 0 {
            out.text(",");
        }
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                out.text("properties:");
                write_properties(out, properties, depth + 1)?;
            }
            ("required", Value::Array(_)) => write_required_list(out, items)?,
            ("type", Value::String(kind)) => {
                out.text("type:");
                out.escaped(&kind.to_uppercase());
            }
            ("type", Value::Array(kinds)) => {
                out.text("type:");
                let upper = kinds
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|k| Value::String(k.to_uppercase()));
                value::write(out, &Value::Array(upper.collect()), Keys::Bare, depth)?;
            }
            (key, value) => {
                value::write_key(out, key);
                out.text(":");
                value::write(out, value, Keys::Escaped, depth)?;
            }
        }
    }
    out.text("}");
    Ok(())
}

fn write_required(out: &mut Writer, schema: &Map<String, Value>) -> Result<(), RenderError> {
    let required = schema.get("required").and_then(Value::as_array);
    if required.is_some_and(|names| !names.is_empty()) {
        write_required_list(out, schema)?;
        out.text(",");
    }
    Ok(())
}

fn write_required_list(out: &mut Writer, schema: &Map<String, Value>) -> Result<(), RenderError> {
    let names = schema.get("required").cloned().unwrap_or(Value::Null);
    out.text("required:");
    value::write(out, &names, Keys::Bare, 0)
}

/// The type to print, and the schema that it belongs to.
///
/// *Repair*: the reference fails on a list of types and prints nothing for a missing one. Here the first type that is
/// not null counts, of `anyOf` and `oneOf` the first branch that has one, and what is still open is a string.
fn kind<'a>(
    out: &mut Writer,
    name: &str,
    schema: &'a Map<String, Value>,
) -> (String, &'a Map<String, Value>) {
    let told = own_kind(schema).map(|kind| (kind, schema));
    let listed = (schema
        .get("type")
        .and_then(Value::as_array)
        .into_iter()
        .flatten())
    .filter(|kind| *kind != "null");
    let mut several = told.is_some() && listed.count() > 1;
    let told = told.or_else(|| {
        let mut branches = ["anyOf", "oneOf", "allOf"]
            .into_iter()
            .filter_map(|key| schema.get(key)?.as_array())
            .flatten()
            .filter_map(Value::as_object)
            .filter_map(|branch| Some((own_kind(branch)?, branch)));
        let first = branches.next();
        several = branches.next().is_some();
        first
    });
    if let Some((kind, schema)) = told {
        if several {
            out.warn(format!(
                "parameter {name} has several types; the model is told of {kind} only"
            ));
        }
        return (kind, schema);
    }
    out.warn(format!(
        "parameter {name} has no type; the model is told STRING"
    ));
    ("STRING".to_owned(), schema)
}

fn own_kind(schema: &Map<String, Value>) -> Option<String> {
    let named = match schema.get("type") {
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        _ => None,
    };
    if let Some(kind) = named.filter(|kind| !kind.is_empty() && *kind != "null") {
        return Some(kind.to_uppercase());
    }
    let example = schema
        .get("enum")
        .and_then(|e| e.get(0))
        .or(schema.get("const"));
    let implied = match example {
        Some(Value::String(_)) => "STRING",
        Some(Value::Bool(_)) => "BOOLEAN",
        Some(Value::Number(n)) if n.is_i64() || n.is_u64() => "INTEGER",
        Some(Value::Number(_)) => "NUMBER",
        _ if schema.contains_key("properties") => "OBJECT",
        _ if schema.contains_key("items") => "ARRAY",
        _ => return None,
    };
    Some(implied.to_owned())
}

fn map<'a>(schema: &'a Map<String, Value>, key: &str) -> Option<&'a Map<String, Value>> {
    schema.get(key).and_then(Value::as_object)
}
