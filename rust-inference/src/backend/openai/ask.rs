//! A request of our protocol as another server is asked it. What cannot be said there is refused by name: a server that does
//! not know a field drops it in silence, and nobody would find out.

use ipc::{
    Status,
    proto::{Chat, Generate, ResponseFormat, generate::Input},
};
use serde_json::{Map, Value, json};

use super::address::{Address, Way};
use crate::{
    backend::request::{choice, limits},
    constrain::Mode,
    functiongemma::{Conversation, Role, Tool, lower_types},
    sampling::SamplingParams,
};

/// Stop texts that servers take; the others are looked for here.
const MAX_STOPS: usize = 4;

/// What is asked of another server.
#[derive(Debug)]
pub(super) struct Asked {
    /// Of its methods.
    pub(super) method: &'static str,
    pub(super) body: Map<String, Value>,
    pub(super) tools: Vec<Tool>,
    pub(super) form: choice::Form,
    pub(super) warnings: Vec<String>,
}

impl Asked {
    /// `model`: what the other server calls it. An answer has at most `max_tokens` tokens.
    pub(super) fn new(
        asked: &Generate,
        address: &Address,
        model: String,
        max_tokens: usize,
    ) -> Result<Self, Status> {
        cannot(asked)?;
        limits::check_stops(asked)?;
        let sampling = limits::sampling(asked.sampling.as_ref())?;
        let logprobs = limits::logprobs(asked.logprobs)?;
        let form = choice::form(asked)?;
        let mut body = Map::new();
        body.insert("model".into(), model.into());
        let (method, tools) = match &asked.input {
            Some(Input::Chat(chat)) => {
                let talk = Conversation::from_proto(chat, &asked.tools)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                body.insert("messages".into(), messages(chat, &talk)?.into());
                choose(&mut body, &form, &talk.tools);
                ("/chat/completions", talk.tools)
            }
            Some(Input::Prompt(prompt)) => {
                body.insert("prompt".into(), prompt.clone().into());
                ("/completions", Vec::new())
            }
            None => {
                return Err(
                    Status::invalid_argument("generate needs a chat or a prompt").with_hint(
                        r#"for instance {"chat":{"messages":[{"role":"user","content":"Hello"}]}}"#,
                    ),
                );
            }
        };
        if let Some(format) = format(asked.response_format.as_ref(), &form) {
            body.insert("response_format".into(), format);
        }
        if let Some(top) = logprobs {
            body.insert("logprobs".into(), true.into());
            body.insert("top_logprobs".into(), top.into());
        }
        let mut warnings = Vec::new();
        let wanted = asked.max_tokens as usize;
        if wanted > max_tokens {
            warnings.push(format!(
                "max_tokens {wanted} was lowered to this server's limit of {max_tokens}"
            ));
        }
        let most = if wanted == 0 {
            max_tokens
        } else {
            wanted.min(max_tokens)
        };
        body.insert(limit_key(address).into(), most.into());
        draw(&mut body, &sampling)?;
        let stops: Vec<Value> = (asked.stop.iter().take(MAX_STOPS))
            .map(|stop| stop.clone().into())
            .collect();
        if !stops.is_empty() {
            body.insert("stop".into(), stops.into());
        }
        Ok(Self {
            method,
            body,
            tools,
            form,
            warnings,
        })
    }

    /// The whole request; `stream`: to be answered piece by piece.
    pub(super) fn body(&self, stream: bool) -> Value {
        let mut body = self.body.clone();
        body.insert("stream".into(), stream.into());
        if stream {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
        body.into()
    }

    /// Asks once more, behind what was `written` and what is wrong with it.
    pub(super) fn again(&mut self, written: &str, problem: &str) {
        if let Some(Value::Array(messages)) = self.body.get_mut("messages") {
            // Some templates cannot write an empty turn.
            let written = if written.is_empty() {
                "(nothing)"
            } else {
                written
            };
            messages.push(json!({"role": "assistant", "content": written}));
            messages.push(json!({"role": "user", "content": format!(
                "That answer cannot be used: {problem}. Answer the question before it again, correctly and in full."
            )}));
        }
    }
}

/// Refuses what another server cannot do, or would not be known to have done.
fn cannot(asked: &Generate) -> Result<(), Status> {
    let raw = matches!(asked.input, Some(Input::Prompt(_)));
    let refusals = [
        (!asked.adapter.is_empty(), "adapter", "leave it out"),
        (!asked.without.is_empty(), "without", "leave it out"),
        (
            !matches!(&*asked.argument_order, "" | "any"),
            "argument_order",
            "leave it out, or say any",
        ),
        (
            raw && !asked.tools.is_empty(),
            "tools with a prompt",
            "ask with a chat",
        ),
        (
            raw && (asked.response_format.as_ref())
                .is_some_and(|format| !matches!(&*format.r#type, "" | "text")),
            "response_format with a prompt",
            "ask with a chat",
        ),
        (
            raw && asked.logprobs.is_some(),
            "logprobs with a prompt",
            "ask with a chat",
        ),
    ];
    for (is_asked, what, instead) in refusals {
        if is_asked {
            return Err(no(what, instead));
        }
    }
    choice::options(asked).map(|_| ())
}

fn no(what: &str, instead: &str) -> Status {
    Status::unimplemented(format!(
        "{what} is not possible with another server's model"
    ))
    .with_hint(format!(
        "{instead}, or ask a model of this program's own engine"
    ))
}

/// Which tools there are, and what is to be called.
fn choose(body: &mut Map<String, Value>, form: &choice::Form, tools: &[Tool]) {
    if tools.is_empty() {
        return;
    }
    let list = tools.iter().map(|tool| {
        let parameters = tool.parameters.as_ref().map_or_else(
            || json!({"type": "object", "properties": {}}),
            |schema| lower_types(&Value::Object(schema.clone())),
        );
        let (name, description) = (&tool.name, &tool.description);
        json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
    });
    body.insert("tools".into(), list.collect::<Vec<_>>().into());
    let (mode, most) = match form {
        choice::Form::Calls { mode, most } => (mode, *most),
        choice::Form::Json(_) => (&Mode::None, None),
    };
    let choice = match mode {
        Mode::Auto => None,
        Mode::None => Some(json!("none")),
        Mode::Required => Some(json!("required")),
        Mode::Function(name) => Some(json!({"type": "function", "function": {"name": name}})),
    };
    if let Some(choice) = choice {
        body.insert("tool_choice".into(), choice);
    }
    if most == Some(1) {
        body.insert("parallel_tool_calls".into(), false.into());
    }
}

/// The schema is not sent as `strict`: servers that know the word refuse ordinary schemas with it.
fn format(asked: Option<&ResponseFormat>, form: &choice::Form) -> Option<Value> {
    let choice::Form::Json(schema) = form else {
        return None;
    };
    Some(match asked.map(|format| &*format.r#type) {
        Some("json_object") => json!({"type": "json_object"}),
        _ => {
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": lower_types(schema)}})
        }
    })
}

/// Only `OpenAI`'s own server refuses the name that all others know.
fn limit_key(address: &Address) -> &'static str {
    match &address.way {
        Way::Tcp { host, .. } if host == "api.openai.com" => "max_completion_tokens",
        _ => "max_tokens",
    }
}

/// How a token is drawn.
fn draw(body: &mut Map<String, Value>, sampling: &SamplingParams) -> Result<(), Status> {
    body.insert("temperature".into(), number(sampling.temperature));
    // Greedy, whatever the rest says.
    if sampling.temperature > 0.0 {
        if sampling.top_k > 0 {
            return Err(no("sampling.top_k", "leave it out"));
        }
        if sampling.min_p > 0.0 {
            return Err(no("sampling.min_p", "leave it out"));
        }
        if sampling.top_p > 0.0 && sampling.top_p < 1.0 {
            body.insert("top_p".into(), number(sampling.top_p));
        }
    }
    if let Some(seed) = sampling.seed {
        // Others keep it in an i64.
        if i64::try_from(seed).is_err() {
            return Err(no("a sampling.seed beyond 2^63", "give a smaller one"));
        }
        body.insert("seed".into(), seed.into());
    }
    Ok(())
}

/// As a person would write it: 0.7, not the nearest double of a float.
fn number(value: f32) -> Value {
    value
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

/// The turns. Calls get ids of their own, which come once in a conversation: ours begin anew with each answer.
fn messages(chat: &Chat, talk: &Conversation) -> Result<Vec<Value>, Status> {
    let mut messages = Vec::new();
    let mut count = 0;
    // The calls of the last answer that have no result yet: what the client calls them, their names, and what we call them.
    let mut open: Vec<(&str, &str, String)> = Vec::new();
    for (at, (told, message)) in chat.messages.iter().zip(&talk.messages).enumerate() {
        let content = &message.content;
        messages.push(match message.role {
            Role::Developer => json!({"role": "system", "content": content}),
            Role::User => json!({"role": "user", "content": content}),
            Role::Model if message.calls.is_empty() => {
                json!({"role": "assistant", "content": content})
            }
            Role::Model => {
                open.clear();
                let calls: Vec<Value> = (message.calls.iter())
                    .map(|call| {
                        // Nine letters and digits: some templates take no other.
                        let id = format!("call{count:05}");
                        count += 1;
                        open.push((&call.id, &call.name, id.clone()));
                        let arguments = Value::Object(call.arguments.clone()).to_string();
                        json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
                    })
                    .collect();
                let text = (!content.is_empty()).then_some(content);
                json!({"role": "assistant", "content": text, "tool_calls": calls})
            }
            Role::Tool => {
                let by_id = |(id, ..): &(&str, &str, String)| *id == told.tool_call_id;
                let by_name = |(_, name, _): &(&str, &str, String)| *name == message.name;
                let found = if told.tool_call_id.is_empty() {
                    open.iter().position(by_name)
                } else {
                    open.iter().position(by_id)
                };
                let Some(found) = found else {
                    return Err(Status::invalid_argument(format!(
                        "messages[{at}]: the result of {:?} belongs to no call before it",
                        message.name
                    ))
                    .with_hint("put the assistant's message with the call before it, and give its tool_call_id"));
                };
                let (.., id) = open.remove(found);
                json!({"role": "tool", "tool_call_id": id, "content": content})
            }
        });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use ipc::proto::frame::Body;

    use super::*;

    fn asked(value: &Value) -> Result<Value, Status> {
        let line = json!({"id": 1, "generate": value}).to_string();
        let generate = match ipc::codec::json::decode_strict(&line).unwrap().body {
            Some(Body::Generate(generate)) => generate,
            other => panic!("{other:?}"),
        };
        let address = "http://localhost:1".parse().unwrap();
        Asked::new(&generate, &address, "m".to_owned(), 64).map(|asked| asked.body(false))
    }

    fn hello() -> Value {
        json!({"messages": [{"role": "user", "content": "Hello"}]})
    }

    #[test]
    fn a_question_is_greedy_and_bounded_unless_it_says_otherwise() {
        let body = asked(&json!({"chat": hello()})).unwrap();
        let expected = json!({"model": "m", "messages": hello()["messages"], "max_tokens": 64, "temperature": 0.0, "stream": false});
        assert_eq!(body, expected);
        let sampling = json!({"temperature": 0.7, "top_p": 0.9, "seed": 7});
        let body = asked(&json!({"chat": hello(), "sampling": sampling, "max_tokens": 5, "stop": ["a", "b", "c", "d", "e"]})).unwrap();
        let drawn = [
            &body["temperature"],
            &body["top_p"],
            &body["seed"],
            &body["max_tokens"],
        ];
        assert_eq!(drawn.map(ToString::to_string), ["0.7", "0.9", "7", "5"]);
        assert_eq!(body["stop"], json!(["a", "b", "c", "d"]));
        // Greedy, whatever the rest says.
        let body =
            asked(&json!({"chat": hello(), "sampling": {"top_k": 3, "min_p": 0.1, "top_p": 0.5}}));
        assert!(body.unwrap().get("top_p").is_none());
    }

    #[test]
    fn tools_and_forms_are_passed_on() {
        let tools = json!([{"name": "f", "description": "Does", "parameters": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}}, {"name": "g"}]);
        let body = asked(&json!({"chat": hello(), "tools": tools, "tool_choice": "function:f", "parallel_tool_calls": false})).unwrap();
        assert_eq!(
            body["tools"],
            json!([
                {"type": "function", "function": {"name": "f", "description": "Does", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}},
                {"type": "function", "function": {"name": "g", "description": "", "parameters": {"type": "object", "properties": {}}}}])
        );
        assert_eq!(
            body["tool_choice"],
            json!({"type": "function", "function": {"name": "f"}})
        );
        assert_eq!(body["parallel_tool_calls"], false);
        let schema = json!({"type": "json_schema", "schema": "{\"type\":\"integer\"}"});
        let body =
            asked(&json!({"chat": hello(), "response_format": schema, "logprobs": 2})).unwrap();
        assert_eq!(
            body["response_format"],
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "integer"}}})
        );
        assert_eq!(
            (&body["logprobs"], &body["top_logprobs"]),
            (&json!(true), &json!(2))
        );
        let body =
            asked(&json!({"chat": hello(), "response_format": {"type": "json_object"}})).unwrap();
        assert_eq!(body["response_format"], json!({"type": "json_object"}));
        let body = asked(&json!({"prompt": "Once"})).unwrap();
        assert_eq!(
            (&body["prompt"], body.get("messages")),
            (&json!("Once"), None)
        );
    }

    #[test]
    fn every_call_and_its_result_have_an_id_of_their_own() {
        let call = |name: &str| json!({"id": "call_0", "name": name, "arguments": "{\"n\": 1}"});
        let body = asked(&json!({"chat": {"messages": [
            {"role": "developer", "content": "Be brief"},
            {"role": "user", "content": "Go"},
            {"role": "model", "tool_calls": [call("f"), {"name": "g"}]},
            {"role": "tool", "name": "g", "content": "two"},
            {"role": "tool", "tool_call_id": "call_0", "content": "one"},
            {"role": "assistant", "content": "Again", "tool_calls": [call("f")]},
            {"role": "tool", "tool_call_id": "call_0", "content": "three"}]}}))
        .unwrap();
        let made = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        assert_eq!(
            body["messages"],
            json!([
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": "Go"},
                {"role": "assistant", "content": null, "tool_calls": [made("call00000", "f", "{\"n\":1}"), made("call00001", "g", "{}")]},
                {"role": "tool", "tool_call_id": "call00001", "content": "two"},
                {"role": "tool", "tool_call_id": "call00000", "content": "one"},
                {"role": "assistant", "content": "Again", "tool_calls": [made("call00002", "f", "{\"n\":1}")]},
                {"role": "tool", "tool_call_id": "call00002", "content": "three"}])
        );
        let lost = json!({"chat": {"messages": [{"role": "tool", "name": "f", "content": "1"}]}});
        let status = asked(&lost).unwrap_err();
        assert!(status.message.contains("messages[0]"), "{status}");
    }

    #[test]
    fn what_another_server_cannot_do_is_refused_by_name() {
        let drawn = |what: Value| json!({"chat": hello(), "sampling": what});
        for (request, name) in [
            (json!({"chat": hello(), "adapter": "a"}), "adapter"),
            (json!({"chat": hello(), "without": ["rows"]}), "without"),
            (
                json!({"chat": hello(), "argument_order": "sorted"}),
                "argument_order",
            ),
            (
                drawn(json!({"temperature": 1, "top_k": 3})),
                "sampling.top_k",
            ),
            (
                drawn(json!({"temperature": 1, "min_p": 0.1})),
                "sampling.min_p",
            ),
            (
                drawn(json!({"seed": "18446744073709551615"})),
                "sampling.seed",
            ),
            (
                json!({"prompt": "x", "tools": [{"name": "f"}]}),
                "tools with a prompt",
            ),
            (
                json!({"prompt": "x", "response_format": {"type": "json_object"}}),
                "response_format",
            ),
            (json!({"prompt": "x", "logprobs": 1}), "logprobs"),
        ] {
            let status = asked(&request).unwrap_err();
            assert_eq!(status.code, ipc::proto::Code::Unimplemented, "{request}");
            assert!(status.message.contains(name), "{request}: {status}");
            assert!(status.hint.contains("own engine"), "{status}");
        }
    }
}
