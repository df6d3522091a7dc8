//! A request of `/v1/chat/completions`, from its JSON to the protocol's `generate`. What is not honoured is refused by name,
//! unless it changes nothing of what the answer means.

use ipc::proto::{Chat, Generate, generate::Input};
use serde_json::Value;

use crate::http::{
    asked::{Shape, Wrapped, choice, extension, format, narrowed, nothing_beside, sampling, tools},
    error::ApiError,
    fields::Fields,
    messages::messages,
};

/// Answers to one request.
const MAX_ANSWERS: u32 = 16;

/// Fields about the account, the bill or the provider's caches.
const WITHOUT_EFFECT: [&str; 6] = [
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct ChatRequest {
    pub(super) generate: Generate,
    pub(super) n: u32,
    /// The last chunk of a stream tells what it cost.
    pub(super) include_usage: bool,
    pub(super) timeout_ms: u32,
}

impl ChatRequest {
    pub(super) fn read(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::of(body, "")?;
        refuse(&mut fields)?;
        let extension = extension(&mut fields)?;
        let model = fields.text("model")?.unwrap_or_default();
        let messages = messages(&mut fields)?;
        let offered = tools(&mut fields, Shape::Wrapped)?;
        let choice = choice(&mut fields, Shape::Wrapped)?;
        let format = format(fields.object("response_format")?, Wrapped::Yes)?;
        let n = fields.count("n", 1..=MAX_ANSWERS)?.unwrap_or(1);
        let stream = fields.flag("stream")?.unwrap_or(false);
        let include_usage = include_usage(&mut fields, stream)?;
        let timeout_ms = extension.timeout_ms;
        let mut generate = Generate {
            input: Some(Input::Chat(Chat { messages })),
            // JSON is guaranteed as its own schema asks; calls as the tools ask.
            lenient: !(match format.format {
                Some(_) => format.strict,
                None => offered.strict,
            }),
            tools: narrowed(offered.tools, choice.allowed.as_deref())?,
            model,
            max_tokens: max_tokens(&mut fields)?,
            stream,
            sampling: Some(sampling(&mut fields)?),
            stop: stop(&mut fields)?,
            tool_choice: choice.word,
            parallel_tool_calls: fields.flag("parallel_tool_calls")?,
            response_format: format.format,
            logprobs: logprobs(&mut fields)?,
            ..Generate::default()
        };
        extension.apply(&mut generate);
        fields.without_effect(&WITHOUT_EFFECT);
        fields.end()?;
        Ok(Self {
            generate,
            n,
            include_usage,
            timeout_ms,
        })
    }

    /// What is asked for each of the answers: with a seed, another one each.
    pub(super) fn each(&self) -> Vec<Generate> {
        let one = |index: u32| {
            let mut generate = self.generate.clone();
            if let Some(seed) = generate.sampling.as_mut().and_then(|s| s.seed.as_mut()) {
                *seed = seed.wrapping_add(index.into());
            }
            generate
        };
        (0..self.n).map(one).collect()
    }
}

/// What this server does not do, each with the values that ask for nothing more than it does.
fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    nothing_beside(fields)?;
    let is = |words: &'static [&'static str]| {
        move |value: &Value| value.as_str().is_some_and(|word| words.contains(&word))
    };
    let never = |_: &Value| false;
    fields.only("functions", never, "is no more: use tools")?;
    fields.only("function_call", never, "is no more: use tool_choice")?;
    let stored = |value: &Value| *value == Value::Bool(false);
    fields.only(
        "store",
        stored,
        "cannot be had: nothing is stored here; leave it out, or false",
    )?;
    let tier = "cannot be had: there is one service; leave it out, or auto";
    fields.only("service_tier", is(&["auto", "default"]), tier)?;
    let effort = "cannot be had: this model does not reason; leave it out, or none";
    fields.only("reasoning_effort", is(&["none"]), effort)?;
    let verbosity = "is not supported here: leave it out, or medium";
    fields.only("verbosity", is(&["medium"]), verbosity)?;
    let text = |value: &Value| *value == serde_json::json!(["text"]);
    fields.only(
        "modalities",
        text,
        "can only be [\"text\"]: this model writes text",
    )?;
    for name in ["audio", "prediction", "web_search_options"] {
        fields.only(name, never, "is not supported here: leave it out")?;
    }
    Ok(())
}

fn max_tokens(fields: &mut Fields) -> Result<u32, ApiError> {
    let old = fields.count("max_tokens", 1..=u32::MAX)?;
    let new = fields.count("max_completion_tokens", 1..=u32::MAX)?;
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            let what = format!("is {old}, and max_completion_tokens {new}: give one of them");
            Err(fields.wrong("max_tokens", &what))
        }
        _ => Ok(new.or(old).unwrap_or(0)),
    }
}

fn stop(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop]),
        Some(Value::Array(list)) => (list.into_iter())
            .map(|stop| match stop {
                Value::String(stop) => Ok(stop),
                _ => Err(fields.wrong("stop", "has what is not a string")),
            })
            .collect(),
        Some(_) => Err(fields.wrong("stop", "is neither a string nor a list of them")),
    }
}

fn logprobs(fields: &mut Fields) -> Result<Option<u32>, ApiError> {
    let asked = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.count("top_logprobs", 0..=20)?;
    if top.is_some_and(|top| top > 0) && !asked {
        return Err(fields.wrong("top_logprobs", "needs logprobs to be true"));
    }
    Ok(asked.then(|| top.unwrap_or(0)))
}

fn include_usage(fields: &mut Fields, stream: bool) -> Result<bool, ApiError> {
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(false);
    };
    if !stream {
        return Err(fields.wrong("stream_options", "needs stream to be true"));
    }
    let asked = options.flag("include_usage")?.unwrap_or(false);
    // Padding against who counts bytes on the way; here is no way to speak of.
    options.without_effect(&["include_obfuscation"]);
    options.end()?;
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(more: &Value) -> Result<ChatRequest, ApiError> {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        ChatRequest::read(body)
    }

    #[test]
    fn what_is_honoured_arrives_in_the_protocols_words() {
        let asked = read(&json!({
            "stop": ["a", "b"], "seed": 3, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "min_p": 0.1,
            "logprobs": true, "top_logprobs": 2, "n": 2, "max_completion_tokens": 7, "max_tokens": 7,
            "stream": true, "stream_options": {"include_usage": true}, "parallel_tool_calls": false,
            "callspan": {"timeout_ms": 9, "adapter": "home", "max_calls": 1, "argument_order": "any"},
        }))
        .unwrap();
        assert!(asked.include_usage && asked.generate.stream);
        assert_eq!((asked.n, asked.timeout_ms), (2, 9));
        let generate = &asked.generate;
        assert_eq!(generate.stop, ["a", "b"]);
        assert_eq!((generate.max_tokens, generate.logprobs), (7, Some(2)));
        assert_eq!(generate.parallel_tool_calls, Some(false));
        assert_eq!((generate.adapter.as_str(), generate.max_calls), ("home", 1));
        let sampling = generate.sampling.unwrap();
        assert_eq!((sampling.top_k, sampling.seed), (4, Some(3)));
        let seeds = (asked.each().into_iter()).map(|one| one.sampling.unwrap().seed.unwrap());
        assert_eq!(seeds.collect::<Vec<_>>(), [3, 4]);
        assert_eq!(read(&json!({"stop": "a"})).unwrap().generate.stop, ["a"]);
    }

    #[test]
    fn a_guarantee_is_asked_for_where_the_request_says_strict() {
        let tool = |strict: Value| json!({"type": "function", "function": {"name": "f", "strict": strict}});
        let schema = |strict: bool| json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": strict}});
        for (body, lenient) in [
            (json!({}), true),
            (json!({"tools": [tool(json!(null))]}), true),
            (
                json!({"tools": [tool(json!(false)), tool(json!(true))]}),
                false,
            ),
            (json!({"response_format": schema(true)}), false),
            (
                json!({"response_format": schema(false), "tools": [tool(json!(true))]}),
                true,
            ),
        ] {
            assert_eq!(read(&body).unwrap().generate.lenient, lenient, "{body}");
        }
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        let fine = json!({
            "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "n": null,
            "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h",
            "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "modalities": ["text"],
            "reasoning_effort": "none", "verbosity": "medium", "tools": [], "tool_choice": null,
            "stream": true, "stream_options": {"include_obfuscation": false}, "response_format": {"type": "text"},
        });
        assert_eq!(read(&fine).unwrap().each().len(), 1);
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (name, value) in [
            ("functions", json!([])),
            ("function_call", json!("auto")),
            ("frequency_penalty", json!(0.5)),
            ("presence_penalty", json!(-1)),
            ("logit_bias", json!({"1": 5})),
            ("audio", json!({"voice": "x"})),
            ("modalities", json!(["text", "audio"])),
            ("prediction", json!({"type": "content", "content": "x"})),
            ("web_search_options", json!({})),
            ("reasoning_effort", json!("high")),
            ("verbosity", json!("low")),
            ("store", json!(true)),
            ("service_tier", json!("flex")),
            ("n", json!(17)),
            ("n", json!(0)),
            ("max_tokens", json!(0)),
            ("stop", json!(5)),
            ("top_logprobs", json!(2)),
            ("temperature", json!("hot")),
            ("stream", json!("yes")),
            ("stream_options", json!({"include_usage": true})),
            ("tool_choice", json!("perhaps")),
            ("best_of", json!(2)),
        ] {
            let error = read(&json!({name: value})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(name), "{}", error.message);
            assert_eq!(error.status, 400);
        }
        let both = read(&json!({"max_tokens": 5, "max_completion_tokens": 6}));
        assert_eq!(both.unwrap_err().param.as_deref(), Some("max_tokens"));
        let extension = read(&json!({"callspan": {"magic": true}}));
        assert_eq!(
            extension.unwrap_err().param.as_deref(),
            Some("callspan.magic")
        );
    }

    #[test]
    fn whatever_stands_in_a_field_is_read_or_refused_by_its_name() {
        let fields = [
            "messages",
            "model",
            "tools",
            "tool_choice",
            "response_format",
            "n",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "seed",
            "stop",
            "parallel_tool_calls",
            "logprobs",
            "top_logprobs",
            "callspan",
            "store",
            "modalities",
            "logit_bias",
            "service_tier",
            "reasoning_effort",
            "frequency_penalty",
        ];
        let values = json!([
            null, true, 0, -1, 1.5, 1e300, 123_456_789_012_345_678_901_234_567_890u128.to_string(), "", "x", [], [null], [[]],
            [{}], ["x"], {}, {"type": null}, {"type": "x"}, {"type": "function"}, {"x": {"x": []}},
        ]);
        let mut refused = 0;
        for name in fields {
            for value in values.as_array().unwrap() {
                let Err(error) = read(&json!({name: value})) else {
                    continue;
                };
                refused += 1;
                let param = error.param.unwrap_or_default();
                assert!(param.starts_with(name), "{name}: {value}: {param}");
                assert_eq!(error.status, 400);
            }
        }
        assert!(refused > 250, "{refused}");
    }
}
