//! A request of `/v1/responses`, from its JSON to the protocol's `generate`. Nothing is stored here, so everything that would
//! be looked up later, or goes on by itself, is refused by name.

use ipc::proto::{Chat, Generate, generate::Input};
use serde_json::{Map, Value, json};

use super::input::input;
use crate::http::{
    asked::{Shape, Wrapped, choice, extension, format, narrowed, sampling, tools},
    error::ApiError,
    fields::Fields,
};

/// Fields about the account, the bill or the provider's caches and own tools.
const WITHOUT_EFFECT: [&str; 6] = [
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "max_tool_calls",
];

/// What a response tells again of what it was asked.
const ECHOED: [&str; 8] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "text",
    "tool_choice",
    "tools",
    "user",
];

/// What is asked for.
#[derive(Debug)]
pub(super) struct ResponseRequest {
    pub(super) generate: Generate,
    pub(super) timeout_ms: u32,
    /// Of the request, what the answer repeats.
    pub(super) echo: Map<String, Value>,
}

impl ResponseRequest {
    pub(super) fn read(body: Value) -> Result<Self, ApiError> {
        let mut echo = echo(&body);
        let mut fields = Fields::of(body, "")?;
        refuse(&mut fields)?;
        let extension = extension(&mut fields)?;
        let timeout_ms = extension.timeout_ms;
        let messages = input(&mut fields)?;
        let offered = tools(&mut fields, Shape::Flat)?;
        let choice = choice(&mut fields, Shape::Flat)?;
        let asked = match text(&mut fields)? {
            Some(mut text) => {
                let asked = format(text.object("format")?, Wrapped::No)?;
                text.end()?;
                asked
            }
            None => format(None, Wrapped::No)?,
        };
        let sampling = sampling(&mut fields)?;
        echo.insert("temperature".to_owned(), sampling.temperature.into());
        let all = if sampling.top_p > 0.0 {
            sampling.top_p
        } else {
            1.0
        };
        echo.insert("top_p".to_owned(), all.into());
        let mut generate = Generate {
            input: Some(Input::Chat(Chat { messages })),
            lenient: !(match asked.format {
                Some(_) => asked.strict,
                None => offered.strict,
            }),
            tools: narrowed(offered.tools, choice.allowed.as_deref())?,
            model: fields.text("model")?.unwrap_or_default(),
            max_tokens: fields
                .count("max_output_tokens", 1..=u32::MAX)?
                .unwrap_or(0),
            stream: fields.flag("stream")?.unwrap_or(false),
            sampling: Some(sampling),
            tool_choice: choice.word,
            parallel_tool_calls: fields.flag("parallel_tool_calls")?,
            response_format: asked.format,
            ..Generate::default()
        };
        extension.apply(&mut generate);
        if let Some(mut options) = fields.object("stream_options")? {
            options.without_effect(&["include_obfuscation"]);
            options.end()?;
        }
        fields.object("metadata")?;
        fields.without_effect(&WITHOUT_EFFECT);
        fields.end()?;
        Ok(Self {
            generate,
            timeout_ms,
            echo,
        })
    }
}

fn echo(body: &Value) -> Map<String, Value> {
    let default = |name: &str| match name {
        "metadata" => json!({}),
        "parallel_tool_calls" => json!(true),
        "text" => json!({"format": {"type": "text"}}),
        "tool_choice" => json!("auto"),
        "tools" => json!([]),
        _ => Value::Null,
    };
    let asked = |name: &str| body.get(name).filter(|value| !value.is_null()).cloned();
    (ECHOED.iter())
        .map(|name| {
            (
                (*name).to_owned(),
                asked(name).unwrap_or_else(|| default(name)),
            )
        })
        .collect()
}

/// What this server does not do, each with the values that ask for nothing more than it does.
fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    let is = |words: &'static [&'static str]| {
        move |value: &Value| value.as_str().is_some_and(|word| words.contains(&word))
    };
    let no = |value: &Value| *value == Value::Bool(false);
    let never = |_: &Value| false;
    // Unset it would mean true, and the answer says that it is false.
    fields.only(
        "store",
        no,
        "cannot be had: nothing is stored here; leave it out, or false",
    )?;
    fields.only(
        "background",
        no,
        "cannot be had: a request ends with its connection",
    )?;
    let stateless =
        "is not supported here: nothing is stored, so send the whole conversation as input";
    for name in ["previous_response_id", "conversation"] {
        fields.only(name, never, stateless)?;
    }
    fields.only(
        "prompt",
        never,
        "is not supported here: there are no stored prompts",
    )?;
    let reasons = |value: &Value| {
        let mut values = value.as_object().into_iter().flat_map(Map::values);
        value.is_object() && values.all(|value| value.is_null() || *value == "none")
    };
    let effort = "cannot be had: this model does not reason; leave it out, or its effort none";
    fields.only("reasoning", reasons, effort)?;
    // There is never any reasoning to be included.
    let include = |value: &Value| {
        (value.as_array())
            .is_some_and(|list| list.iter().all(|one| *one == "reasoning.encrypted_content"))
    };
    fields.only(
        "include",
        include,
        "asks for what this server does not have: leave it out",
    )?;
    let zero = |value: &Value| value.as_u64() == Some(0);
    let logprobs = "is not supported here: /v1/chat/completions has logprobs";
    fields.only("top_logprobs", zero, logprobs)?;
    let cut = "can only be disabled: what is too long is refused, not cut";
    fields.only("truncation", is(&["disabled"]), cut)?;
    let tier = "cannot be had: there is one service; leave it out, or auto";
    fields.only("service_tier", is(&["auto", "default"]), tier)
}

fn text(fields: &mut Fields) -> Result<Option<Fields>, ApiError> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(None);
    };
    let medium = |value: &Value| *value == "medium";
    text.only(
        "verbosity",
        medium,
        "is not supported here: leave it out, or medium",
    )?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &Value) -> Result<ResponseRequest, ApiError> {
        let mut body = json!({"model": "m", "input": "Hi"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        ResponseRequest::read(body)
    }

    #[test]
    fn what_is_honoured_arrives_and_is_told_again() {
        let tool = json!({"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true});
        let asked = read(&json!({
            "tools": [tool], "tool_choice": {"type": "function", "name": "f"}, "max_output_tokens": 5,
            "temperature": 0.5, "parallel_tool_calls": false, "stream": true, "metadata": {"a": "b"},
            "callspan": {"timeout_ms": 7},
        }))
        .unwrap();
        let generate = &asked.generate;
        assert_eq!(
            (generate.tool_choice.as_str(), generate.max_tokens),
            ("function:f", 5)
        );
        assert!(generate.stream && !generate.lenient && asked.timeout_ms == 7);
        assert_eq!(asked.echo["tools"], json!([tool]));
        assert_eq!(asked.echo["temperature"], json!(0.5));
        assert_eq!(asked.echo["metadata"], json!({"a": "b"}));
        let schema =
            json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}});
        let format = read(&json!({"text": schema}))
            .unwrap()
            .generate
            .response_format;
        assert_eq!(format.unwrap().schema, r#"{"type":"object"}"#);
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        let fine = json!({
            "store": false, "background": false, "previous_response_id": null, "truncation": "disabled",
            "reasoning": {"effort": null, "summary": null}, "include": ["reasoning.encrypted_content"],
            "top_logprobs": 0, "service_tier": "auto", "text": {"verbosity": "medium"}, "user": "u",
            "stream_options": {"include_obfuscation": false}, "max_tool_calls": 3, "prompt_cache_key": "k",
        });
        assert!(read(&fine).is_ok());
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (name, value) in [
            ("store", json!(true)),
            ("background", json!(true)),
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!("conv_1")),
            ("prompt", json!({"id": "p"})),
            ("reasoning", json!({"effort": "high"})),
            ("include", json!(["message.output_text.logprobs"])),
            ("top_logprobs", json!(3)),
            ("truncation", json!("auto")),
            ("service_tier", json!("priority")),
            ("max_output_tokens", json!(0)),
            ("frequency_penalty", json!(1)),
            ("messages", json!([])),
        ] {
            let error = read(&json!({name: value})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{}", error.message);
        }
        let verbose = read(&json!({"text": {"verbosity": "high"}})).unwrap_err();
        assert_eq!(verbose.param.as_deref(), Some("text.verbosity"));
        let tool = read(&json!({"tools": [{"type": "web_search"}]})).unwrap_err();
        assert_eq!(tool.param.as_deref(), Some("tools[0].type"));
    }
}
