//! Tools and which of them may be called. Chat completions wrap a function in an object of its own, responses do not; the
//! rest is alike.

use ipc::proto::Tool;
use serde_json::Value;

use crate::http::{error::ApiError, fields::Fields};

/// How an API writes a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Shape {
    /// `{"type": "function", "function": {…}}`
    Wrapped,
    /// `{"type": "function", "name": …}`
    Flat,
}

/// What is offered.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) struct Tools {
    pub(in crate::http) tools: Vec<Tool>,
    /// One of them asks for the guarantee; the protocol gives it for all tools of a request, or none.
    pub(in crate::http) strict: bool,
}

pub(in crate::http) fn tools(request: &mut Fields, shape: Shape) -> Result<Tools, ApiError> {
    let mut offered = Tools::default();
    for (index, tool) in (request.list("tools")?.unwrap_or_default())
        .into_iter()
        .enumerate()
    {
        let mut fields = Fields::of(tool, format!("tools[{index}]"))?;
        let mut function = function(&mut fields, shape)?;
        let parameters = match function.take("parameters") {
            None => String::new(),
            Some(schema @ Value::Object(_)) => schema.to_string(),
            Some(_) => return Err(function.wrong("parameters", "is no JSON Schema object")),
        };
        offered.strict |= function.flag("strict")?.unwrap_or(false);
        offered.tools.push(Tool {
            name: function.needed_text("name")?,
            description: function.text("description")?.unwrap_or_default(),
            parameters,
        });
        function.end()?;
        fields.end()?;
    }
    Ok(offered)
}

/// The function in an object of type function; what is left of the object has no field more.
fn function(fields: &mut Fields, shape: Shape) -> Result<Fields, ApiError> {
    let kind = fields.needed_text("type")?;
    if kind != "function" {
        let what = format!("is {kind:?}: this server only has tools of type function");
        return Err(fields.unsupported("type", &what));
    }
    match shape {
        Shape::Wrapped => fields.needed_object("function"),
        Shape::Flat => Ok(fields.rest()),
    }
}

/// Which of the tools may be called, and whether one must be.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) struct Choice {
    /// In the protocol's words.
    pub(in crate::http) word: String,
    /// Only these.
    pub(in crate::http) allowed: Option<Vec<String>>,
}

impl Choice {
    fn word(word: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            allowed: None,
        }
    }
}

pub(in crate::http) fn choice(request: &mut Fields, shape: Shape) -> Result<Choice, ApiError> {
    let value = match request.take("tool_choice") {
        None => return Ok(Choice::default()),
        Some(Value::String(word)) => {
            if ["none", "auto", "required"].contains(&word.as_str()) {
                return Ok(Choice::word(word));
            }
            let what = format!("is {word:?}: possible are none, auto and required");
            return Err(request.wrong("tool_choice", &what));
        }
        Some(value) => value,
    };
    let mut fields = Fields::of(value, "tool_choice")?;
    let kind = fields.needed_text("type")?;
    let choice = match kind.as_str() {
        "function" => Choice::word(format!("function:{}", name(&mut fields, shape)?)),
        "allowed_tools" => {
            let mut inner = match shape {
                Shape::Wrapped => fields.needed_object("allowed_tools")?,
                Shape::Flat => fields.rest(),
            };
            let choice = allowed(&mut inner, shape)?;
            inner.end()?;
            choice
        }
        other => {
            let what = format!("is {other:?}: possible are function and allowed_tools");
            return Err(fields.unsupported("type", &what));
        }
    };
    fields.end()?;
    Ok(choice)
}

fn allowed(fields: &mut Fields, shape: Shape) -> Result<Choice, ApiError> {
    let mode = fields.needed_text("mode")?;
    if mode != "auto" && mode != "required" {
        let what = format!("is {mode:?}: possible are auto and required");
        return Err(fields.wrong("mode", &what));
    }
    let place = fields.path("tools");
    let Some(list) = fields.list("tools")?.filter(|list| !list.is_empty()) else {
        return Err(fields.wrong("tools", "names no tool"));
    };
    let mut names = Vec::new();
    for (index, tool) in list.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("{place}[{index}]"))?;
        let mut function = function(&mut tool, shape)?;
        names.push(function.needed_text("name")?);
        function.end()?;
        tool.end()?;
    }
    Ok(Choice {
        word: mode,
        allowed: Some(names),
    })
}

fn name(fields: &mut Fields, shape: Shape) -> Result<String, ApiError> {
    match shape {
        Shape::Flat => fields.needed_text("name"),
        Shape::Wrapped => {
            let mut function = fields.needed_object("function")?;
            let name = function.needed_text("name")?;
            function.end()?;
            Ok(name)
        }
    }
}

/// Those of the tools that are allowed. The others are not told of at all: the protocol has no word for tools that may
/// be seen and not be called beside ones that may.
pub(in crate::http) fn narrowed(
    tools: Vec<Tool>,
    allowed: Option<&[String]>,
) -> Result<Vec<Tool>, ApiError> {
    let Some(allowed) = allowed else {
        return Ok(tools);
    };
    let offered = |name: &String| tools.iter().any(|tool| tool.name == *name);
    if let Some(stranger) = allowed.iter().find(|name| !offered(name)) {
        let message = format!("tool_choice allows {stranger:?}, which is not among the tools");
        return Err(ApiError::invalid("tool_choice", message));
    }
    Ok((tools.into_iter())
        .filter(|tool| allowed.contains(&tool.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(value: Value) -> Fields {
        Fields::of(value, "").unwrap()
    }

    fn chosen(value: &Value, shape: Shape) -> Result<Choice, ApiError> {
        choice(&mut request(json!({"tool_choice": value})), shape)
    }

    #[test]
    fn a_function_is_read_in_both_shapes_its_schema_as_it_was_written() {
        let schema = json!({"type": "object", "properties": {"z": {"type": "integer"}, "a": {}}});
        let function =
            json!({"name": "f", "description": "d", "parameters": schema, "strict": true});
        let mut flat = function.clone();
        flat["type"] = json!("function");
        let wrapped = json!({"type": "function", "function": function});
        let expected = Tools {
            tools: vec![Tool {
                name: "f".to_owned(),
                description: "d".to_owned(),
                parameters: schema.to_string(),
            }],
            strict: true,
        };
        for (tool, shape) in [(flat, Shape::Flat), (wrapped, Shape::Wrapped)] {
            let read = tools(&mut request(json!({"tools": [tool]})), shape).unwrap();
            assert_eq!(read, expected, "{shape:?}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused_by_its_place() {
        for (tool, param) in [
            (json!({"type": "custom", "custom": {}}), "tools[0].type"),
            (json!({"type": "function"}), "tools[0].function"),
            (
                json!({"type": "function", "function": {}}),
                "tools[0].function.name",
            ),
            (
                json!({"type": "function", "function": {"name": "f", "parameters": []}}),
                "tools[0].function.parameters",
            ),
            (
                json!({"type": "function", "function": {"name": "f", "magic": 1}}),
                "tools[0].function.magic",
            ),
        ] {
            let read = tools(&mut request(json!({"tools": [tool]})), Shape::Wrapped);
            assert_eq!(read.unwrap_err().param.as_deref(), Some(param), "{tool}");
        }
    }

    #[test]
    fn every_form_of_a_choice_has_its_meaning() {
        let word = |word: &str| Choice::word(word);
        let only = Choice {
            word: "required".to_owned(),
            allowed: Some(vec!["f".to_owned()]),
        };
        for (value, shape, meant) in [
            (json!(null), Shape::Wrapped, word("")),
            (json!("required"), Shape::Flat, word("required")),
            (
                json!({"type": "function", "function": {"name": "f"}}),
                Shape::Wrapped,
                word("function:f"),
            ),
            (
                json!({"type": "function", "name": "f"}),
                Shape::Flat,
                word("function:f"),
            ),
            (
                json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}]}}),
                Shape::Wrapped,
                word("required"),
            ),
            (
                json!({"type": "allowed_tools", "mode": "required",
                    "tools": [{"type": "function", "name": "f"}]}),
                Shape::Flat,
                word("required"),
            ),
        ] {
            let mut got = chosen(&value, shape).unwrap();
            if value.get("type") == Some(&json!("allowed_tools")) {
                assert_eq!(got, only, "{value}");
                got.allowed = None;
            }
            assert_eq!(got, meant, "{value}");
        }
        for value in [
            json!("maybe"),
            json!({"type": "custom", "custom": {"name": "f"}}),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
            json!(5),
        ] {
            assert!(chosen(&value, Shape::Wrapped).is_err(), "{value}");
        }
    }

    #[test]
    fn of_the_tools_those_are_left_that_are_allowed() {
        let tool = |name: &str| Tool {
            name: name.to_owned(),
            ..Tool::default()
        };
        let both = || vec![tool("f"), tool("g")];
        assert_eq!(narrowed(both(), None).unwrap(), both());
        let allowed = ["g".to_owned()];
        assert_eq!(narrowed(both(), Some(&allowed)).unwrap(), [tool("g")]);
        let stranger = ["h".to_owned()];
        let error = narrowed(both(), Some(&stranger)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tool_choice"));
    }
}
