//! What a request says of the form of its answer: calls or none, which, how many; or JSON instead.

use std::fmt::Display;

use ipc::{
    Status,
    proto::{Generate, ResponseFormat, Tool},
};
use serde_json::{Value, json};

use super::limits::unknown;
use crate::constrain::{ArgumentOrder, Mode, Options};

/// Names in an error message.
const SHOWN_NAMES: usize = 8;

/// The form of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend) enum Form {
    /// Text and calls.
    Calls {
        mode: Mode,
        /// The most of them.
        most: Option<usize>,
    },
    /// JSON that is valid against this schema.
    Json(Value),
}

/// The form that a request asks for. What is misspelt or cannot be had together is refused.
pub(in crate::backend) fn form(asked: &Generate) -> Result<Form, Status> {
    let mode = mode(&asked.tool_choice, &asked.tools)?;
    let most = most_calls(asked.parallel_tool_calls, asked.max_calls)?;
    let Some(schema) = schema(asked.response_format.as_ref())? else {
        return Ok(Form::Calls { mode, most });
    };
    let format = (asked.response_format.as_ref()).map_or("", |format| &format.r#type);
    if !asked.tools.is_empty() && mode != Mode::None {
        let choice = match asked.tool_choice.as_str() {
            "" => "auto",
            choice => choice,
        };
        return Err(Status::invalid_argument(format!(
            "an answer cannot be both a call and JSON: response_format is {format}, and tool_choice {choice}"
        ))
        .with_hint(
            "set tool_choice to none, which keeps the tools in the prompt, or leave response_format out",
        ));
    }
    if !asked.stop.is_empty() {
        return Err(Status::invalid_argument(format!(
            "stop texts could cut the JSON that response_format {format} promises"
        ))
        .with_hint("leave `stop` out: such an answer ends where its JSON does"));
    }
    Ok(Form::Json(schema))
}

fn mode(asked: &str, tools: &[Tool]) -> Result<Mode, Status> {
    let mode = match asked {
        "" | "auto" => return Ok(Mode::Auto),
        "none" => return Ok(Mode::None),
        "required" => Mode::Required,
        other => match other.strip_prefix("function:") {
            Some(name) => Mode::Function(name.to_owned()),
            None => {
                return Err(unknown(
                    "tool_choice",
                    other,
                    "auto, required, none, function:NAME",
                ));
            }
        },
    };
    if tools.is_empty() {
        return Err(Status::invalid_argument(format!(
            "tool_choice is {asked}, but no tools are offered"
        ))
        .with_hint("offer `tools`, or leave tool_choice out"));
    }
    if let Mode::Function(name) = &mode
        && !tools.iter().any(|tool| tool.name == *name)
    {
        return Err(Status::invalid_argument(format!(
            "tool_choice names {name:?}, which is not offered"
        ))
        .with_hint(format!("offered are: {}", names(tools))));
    }
    Ok(mode)
}

fn names(tools: &[Tool]) -> String {
    let shown: Vec<_> = tools
        .iter()
        .take(SHOWN_NAMES)
        .map(|tool| tool.name.as_str())
        .collect();
    let shown = shown.join(", ");
    match tools.len().saturating_sub(SHOWN_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn most_calls(parallel: Option<bool>, max: u32) -> Result<Option<usize>, Status> {
    match (parallel, max) {
        (Some(false), 2..) => Err(Status::invalid_argument(format!(
            "parallel_tool_calls is false, and max_calls {max}"
        ))
        .with_hint("one of them is enough: false means one call")),
        (Some(false), _) => Ok(Some(1)),
        (_, 0) => Ok(None),
        (_, max) => Ok(Some(max as usize)),
    }
}

/// How schemas are to be taken.
pub(in crate::backend) fn options(asked: &Generate) -> Result<Options, Status> {
    let order = match asked.argument_order.as_str() {
        "" => ArgumentOrder::default(),
        word => ArgumentOrder::parse(word)
            .ok_or_else(|| unknown("argument_order", word, &ArgumentOrder::WORDS.join(", ")))?,
    };
    Ok(Options {
        order,
        lenient: asked.lenient,
    })
}

/// The schema of a JSON answer; nothing for text.
fn schema(asked: Option<&ResponseFormat>) -> Result<Option<Value>, Status> {
    let Some(asked) = asked else {
        return Ok(None);
    };
    let kind = asked.r#type.as_str();
    let found = match (kind, asked.schema.as_str()) {
        ("" | "text", "") => return Ok(None),
        ("json_object", "") => {
            return Ok(Some(
                json!({"type": "object", "additionalProperties": true}),
            ));
        }
        ("json_schema", "") => {
            return Err(
                Status::invalid_argument("response_format is json_schema, but has no schema")
                    .with_hint(r#"for instance {"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}"#),
            );
        }
        ("json_schema", text) => serde_json::from_str(text),
        ("" | "text" | "json_object", _) => {
            return Err(Status::invalid_argument(format!(
                "response_format has a schema, but its type is {}",
                if kind.is_empty() { "text" } else { kind }
            ))
            .with_hint("set the type to json_schema"));
        }
        (other, _) => {
            return Err(unknown(
                "response_format.type",
                other,
                "text, json_object, json_schema",
            ));
        }
    };
    let refuse = |what: &dyn Display| {
        Status::invalid_argument(format!("response_format.schema is no JSON Schema: {what}"))
            .with_hint("give an object, such as {\"type\":\"object\"}")
    };
    match found {
        Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Some(schema)),
        Ok(_) => Err(refuse(&"expected an object")),
        Err(error) => Err(refuse(&error)),
    }
}

#[cfg(test)]
mod tests {
    use ipc::proto::frame::Body;

    use super::*;

    fn request(value: &Value) -> Generate {
        let line = json!({"id": 1, "generate": value}).to_string();
        match ipc::codec::json::decode_strict(&line).unwrap().body {
            Some(Body::Generate(generate)) => generate,
            other => panic!("{other:?}"),
        }
    }

    fn asked(value: &Value) -> Result<Form, Status> {
        form(&request(value))
    }

    fn calls(mode: Mode, most: Option<usize>) -> Form {
        Form::Calls { mode, most }
    }

    #[test]
    fn every_word_has_its_meaning() {
        let tools = json!([{"name": "f"}, {"name": "g:h"}]);
        for (request, meant) in [
            (json!({}), calls(Mode::Auto, None)),
            (
                json!({"tool_choice": "auto", "tools": tools}),
                calls(Mode::Auto, None),
            ),
            (json!({"tool_choice": "none"}), calls(Mode::None, None)),
            (
                json!({"tool_choice": "required", "tools": tools}),
                calls(Mode::Required, None),
            ),
            (
                json!({"tool_choice": "function:g:h", "tools": tools}),
                calls(Mode::Function("g:h".into()), None),
            ),
            (
                json!({"parallel_tool_calls": false}),
                calls(Mode::Auto, Some(1)),
            ),
            (
                json!({"parallel_tool_calls": false, "max_calls": 1}),
                calls(Mode::Auto, Some(1)),
            ),
            (
                json!({"parallel_tool_calls": true, "max_calls": 3}),
                calls(Mode::Auto, Some(3)),
            ),
            (json!({"response_format": {}}), calls(Mode::Auto, None)),
            (
                json!({"response_format": {"type": "text"}}),
                calls(Mode::Auto, None),
            ),
            (
                json!({"response_format": {"type": "json_object"}, "tools": tools, "tool_choice": "none"}),
                Form::Json(json!({"type": "object", "additionalProperties": true})),
            ),
            (
                json!({"response_format": {"type": "json_schema", "schema": "{\"type\":\"integer\"}"}}),
                Form::Json(json!({"type": "integer"})),
            ),
        ] {
            assert_eq!(asked(&request).unwrap(), meant, "{request}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_is_possible() {
        let tools = json!([{"name": "f"}, {"name": "g"}]);
        for (request, message, hint) in [
            (
                json!({"tool_choice": "any"}),
                "tool_choice is \"any\"",
                "auto, required, none, function:NAME",
            ),
            (
                json!({"tool_choice": "required"}),
                "no tools are offered",
                "offer `tools`",
            ),
            (
                json!({"tool_choice": "function:f"}),
                "no tools are offered",
                "offer `tools`",
            ),
            (
                json!({"tool_choice": "function:", "tools": tools}),
                "names \"\"",
                "offered are: f, g",
            ),
            (
                json!({"tool_choice": "function:h", "tools": tools}),
                "names \"h\"",
                "offered are: f, g",
            ),
            (
                json!({"parallel_tool_calls": false, "max_calls": 2}),
                "max_calls 2",
                "one call",
            ),
            (
                json!({"response_format": {"type": "xml"}}),
                "response_format.type is \"xml\"",
                "json_schema",
            ),
            (
                json!({"response_format": {"type": "json_schema"}}),
                "has no schema",
                "for instance",
            ),
            (
                json!({"response_format": {"schema": "{}"}}),
                "its type is text",
                "json_schema",
            ),
            (
                json!({"response_format": {"type": "json_schema", "schema": "{"}}),
                "no JSON Schema: EOF",
                "object",
            ),
            (
                json!({"response_format": {"type": "json_schema", "schema": "[1]"}}),
                "expected an object",
                "object",
            ),
            (
                json!({"response_format": {"type": "json_object"}, "tools": tools}),
                "cannot be both a call and JSON: response_format is json_object, and tool_choice auto",
                "tool_choice to none",
            ),
            (
                json!({"response_format": {"type": "json_object"}, "tools": tools, "tool_choice": "required"}),
                "tool_choice required",
                "leave response_format out",
            ),
            (
                json!({"response_format": {"type": "json_object"}, "stop": ["}"]}),
                "could cut the JSON",
                "leave `stop` out",
            ),
        ] {
            let status = asked(&request).unwrap_err();
            assert!(status.message.contains(message), "{request}: {status:?}");
            assert!(status.hint.contains(hint), "{request}: {status:?}");
        }
        let many: Vec<Value> = (0..20).map(|i| json!({"name": format!("f{i}")})).collect();
        let status = asked(&json!({"tool_choice": "function:x", "tools": many})).unwrap_err();
        assert!(status.hint.ends_with("f7 and 12 more"), "{status:?}");
    }

    #[test]
    fn an_order_is_one_of_three() {
        for (word, order) in [
            ("", ArgumentOrder::Sorted),
            ("sorted", ArgumentOrder::Sorted),
            ("declared", ArgumentOrder::Declared),
            ("any", ArgumentOrder::Any),
        ] {
            let asked = options(&request(&json!({"argument_order": word, "lenient": true})));
            let lenient = true;
            assert_eq!(asked.unwrap(), Options { order, lenient });
        }
        let status = options(&request(&json!({"argument_order": "random"}))).unwrap_err();
        assert!(status.message.contains("argument_order is \"random\""));
        assert!(status.hint.contains("sorted, declared, any"), "{status:?}");
    }
}
