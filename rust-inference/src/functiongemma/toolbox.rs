//! The tools that were offered: what a model may call, and with what.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{InputError, Tool, references};

/// The offered tools, their schemas compiled.
#[derive(Debug, Default)]
pub struct Toolbox(HashMap<String, Option<Validator>>);

impl Toolbox {
    /// Two tools of one name and schemas that are none are refused. References out of a schema lead nowhere.
    pub fn new(tools: &[Tool]) -> Result<Self, InputError> {
        let mut toolbox = Self::default();
        for (i, tool) in tools.iter().enumerate() {
            let place = format!("tools[{i}].parameters");
            let usable = |schema: &Map<String, Value>| {
                compile(&lower_types(&Value::Object(schema.clone())), false).map_err(|error| {
                    InputError::new(&place, format!("not a usable JSON Schema: {}", error.what))
                })
            };
            let validator = tool.parameters.as_ref().map(usable).transpose()?;
            if toolbox.0.insert(tool.name.clone(), validator).is_some() {
                return Err(InputError::new(
                    format!("tools[{i}]"),
                    format!("a second tool is named {:?}", tool.name),
                ));
            }
        }
        Ok(toolbox)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names for an error message.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        let shown = names.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        match names.len() {
            0 => "no functions".to_owned(),
            n if n > 8 => format!("{shown} and {} more", n - 8),
            _ => shown,
        }
    }

    /// What is wrong with a call that was not written in the format: its name, or its arguments.
    pub(crate) fn check_call(&self, name: &str, arguments: &Value) -> Result<(), String> {
        if !self.contains(name) {
            let names = self.names();
            return Err(format!(
                "unknown function {name:?}; expected one of: {names}"
            ));
        }
        self.check(name, arguments)
            .map_err(|message| format!("the arguments of {name}: {message}"))
    }

    /// What is wrong with the arguments of a call, and where.
    pub(super) fn check(&self, name: &str, arguments: &Value) -> Result<(), String> {
        let Some(Some(validator)) = self.0.get(name) else {
            return if arguments.as_object().is_some_and(|map| !map.is_empty()) {
                Err("the function takes no arguments".to_owned())
            } else {
                Ok(())
            };
        };
        match validator.iter_errors(arguments).next() {
            None => Ok(()),
            Some(error) => {
                let at = error.instance_path().to_string();
                Err(format!(
                    "{error}{}",
                    if at.is_empty() {
                        at
                    } else {
                        format!(" (at {at})")
                    }
                ))
            }
        }
    }
}

/// What is wrong with a schema, and at which JSON pointer of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) pointer: String,
    pub(crate) what: String,
}

/// What checks values against a schema; with formats, if they are asserted. References out of it lead nowhere.
pub(crate) fn compile(schema: &Value, formats: bool) -> Result<Validator, Unusable> {
    references::check(schema).map_err(|what| Unusable {
        pointer: String::new(),
        what,
    })?;
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(formats)
        .build(schema)
        .map_err(|error| Unusable {
            pointer: error.instance_path().to_string(),
            what: error.to_string(),
        })
}

/// Google's own data spells a schema's types in capitals, JSON Schema in small letters. What is data, not schema, is
/// left alone.
pub(crate) fn lower_types(schema: &Value) -> Value {
    lowered(schema, false)
}

/// `names`: the keys are names of somebody's, such as of parameters, and no keywords.
fn lowered(schema: &Value, names: bool) -> Value {
    let small = |kind: &Value| {
        kind.as_str()
            .map_or(kind.clone(), |kind| kind.to_ascii_lowercase().into())
    };
    match schema {
        Value::Object(map) => {
            let parts = map.iter().map(|(key, value)| {
                let part = match (key.as_str(), value) {
                    (_, value) if names => lowered(value, false),
                    ("type", Value::Array(kinds)) => kinds.iter().map(small).collect(),
                    ("type", kind) => small(kind),
                    ("enum" | "const" | "default" | "examples", data) => data.clone(),
                    (key, value) => lowered(value, NAMED.contains(&key)),
                };
                (key.clone(), part)
            });
            Value::Object(parts.collect())
        }
        Value::Array(list) => list.iter().map(|schema| lowered(schema, false)).collect(),
        other => other.clone(),
    }
}

/// The keywords whose schemas have names.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
];
