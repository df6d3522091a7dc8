//! Messages of a conversation, from the API's JSON to the protocol's.

use ipc::proto::{Message, ToolCall};
use serde_json::Value;

use super::{error::ApiError, fields::Fields};

pub(super) fn messages(request: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let Some(list) = request.list("messages")? else {
        return Err(request.wrong("messages", "is missing"));
    };
    if list.is_empty() {
        return Err(request.wrong("messages", "has no message"));
    }
    let read = |(index, value)| message(Fields::of(value, format!("messages[{index}]"))?);
    let messages = list.into_iter().enumerate().map(read);
    Ok(joined(messages.collect::<Result<_, _>>()?))
}

/// The results of an assistant's calls, in the order of the calls: the model's format has no ids, so that of two calls of
/// one tool it knows by the order which result is whose.
fn order_results(messages: &mut [Message]) {
    let mut rest = messages;
    while let Some((first, others)) = rest.split_first_mut() {
        let results = (others.iter())
            .take_while(|message| message.role == "tool")
            .count();
        let place = |result: &Message| {
            let mut ids = first.tool_calls.iter().map(|call| &call.id);
            ids.position(|id| *id == result.tool_call_id)
        };
        if let Some(results) = others
            .get_mut(..results)
            .filter(|_| first.role == "assistant")
        {
            results.sort_by_key(|result| place(result).unwrap_or(usize::MAX));
        }
        rest = others;
    }
}

/// Clients write what they have to say before a conversation as several messages, and results in any order; the model
/// knows one message, and the calls' order.
pub(super) fn joined(messages: Vec<Message>) -> Vec<Message> {
    let instructs = |message: &Message| ["system", "developer"].contains(&message.role.as_str());
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.as_mut_slice() {
            [first] if instructs(first) && instructs(&message) => {
                first.content.push_str("\n\n");
                first.content.push_str(&message.content);
            }
            _ => joined.push(message),
        }
    }
    order_results(&mut joined);
    joined
}

fn message(mut fields: Fields) -> Result<Message, ApiError> {
    let role = fields.needed_text("role")?;
    let mut message = match role.as_str() {
        "system" | "developer" | "user" => {
            // Who of several users or systems speaks: nothing in the model's format says so.
            fields.without_effect(&["name"]);
            let content = needed_content(&mut fields)?;
            Message {
                content,
                ..Message::default()
            }
        }
        "assistant" => assistant(&mut fields)?,
        "tool" => Message {
            content: needed_content(&mut fields)?,
            tool_call_id: fields.needed_text("tool_call_id")?,
            name: fields.text("name")?.unwrap_or_default(),
            ..Message::default()
        },
        "function" => {
            let what =
                "is function, which is no more: answer a call with role tool and its tool_call_id";
            return Err(fields.unsupported("role", what));
        }
        other => {
            let what =
                format!("is {other:?}: possible are system, developer, user, assistant and tool");
            return Err(fields.wrong("role", &what));
        }
    };
    message.role = role;
    fields.end()?;
    Ok(message)
}

fn assistant(fields: &mut Fields) -> Result<Message, ApiError> {
    let content = content(fields)?;
    let refusal = fields.text("refusal")?;
    // What clients keep beside what was said, and send back with it.
    fields.without_effect(&["name", "annotations", "parsed"]);
    for (name, what) in [
        ("function_call", "is no more: use tool_calls"),
        ("audio", "is not supported here: only text is"),
    ] {
        fields.only(name, |_| false, what)?;
    }
    let place = fields.path("tool_calls");
    let calls = fields.list("tool_calls")?.unwrap_or_default();
    let calls = calls.into_iter().enumerate().map(|(index, value)| {
        let fields = Fields::of(value, format!("{place}[{index}]"))?;
        call(fields)
    });
    Ok(Message {
        content: content.or(refusal).unwrap_or_default(),
        tool_calls: calls.collect::<Result<_, _>>()?,
        ..Message::default()
    })
}

fn call(mut fields: Fields) -> Result<ToolCall, ApiError> {
    let kind = fields.text("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        let what = format!("is {kind:?}: this server only has calls of type function");
        return Err(fields.unsupported("type", &what));
    }
    let mut function = fields.needed_object("function")?;
    let call = ToolCall {
        id: fields.needed_text("id")?,
        name: function.needed_text("name")?,
        arguments: function.text("arguments")?.unwrap_or_default(),
    };
    function.without_effect(&["parsed_arguments"]);
    function.end()?;
    // Of its place in a stream.
    fields.without_effect(&["index"]);
    fields.end()?;
    Ok(call)
}

fn needed_content(fields: &mut Fields) -> Result<String, ApiError> {
    content(fields)?.ok_or_else(|| fields.wrong("content", "is missing"))
}

/// Text, or parts of text: a line each.
pub(super) fn content(fields: &mut Fields) -> Result<Option<String>, ApiError> {
    let place = fields.path("content");
    match fields.take("content") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(parts)) => Ok(Some(text_of(parts, &place)?)),
        Some(_) => Err(fields.wrong("content", "is neither a text nor a list of parts")),
    }
}

/// The texts of parts, a line each.
pub(super) fn text_of(parts: Vec<Value>, place: &str) -> Result<String, ApiError> {
    let texts = parts.into_iter().enumerate().map(|(index, part)| {
        let mut part = Fields::of(part, format!("{place}[{index}]"))?;
        let kind = part.needed_text("type")?;
        let text = match kind.as_str() {
            "text" | "input_text" | "output_text" => part.needed_text("text")?,
            "refusal" => part.needed_text("refusal")?,
            other => {
                let what = format!("is {other:?}: this model reads text only");
                return Err(part.unsupported("type", &what));
            }
        };
        part.without_effect(&["annotations", "logprobs"]);
        part.end()?;
        Ok(text)
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(list: &Value) -> Result<Vec<Message>, ApiError> {
        messages(&mut Fields::of(json!({"messages": list}), "").unwrap())
    }

    fn said(role: &str, content: &str) -> Message {
        Message {
            role: role.to_owned(),
            content: content.to_owned(),
            ..Message::default()
        }
    }

    #[test]
    fn every_role_is_read_and_parts_of_text_are_lines() {
        let call = json!({"id": "c", "type": "function", "index": 0,
            "function": {"name": "f", "arguments": "{\"a\": 1}", "parsed_arguments": {"a": 1}}});
        let read = read(&json!([
            {"role": "system", "content": "S"},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "name": "Ann"},
            {"role": "assistant", "content": null, "refusal": null, "audio": null, "annotations": [], "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "3"},
            {"role": "assistant", "refusal": "No."},
        ]))
        .unwrap();
        let called = Message {
            tool_calls: vec![ToolCall {
                id: "c".to_owned(),
                name: "f".to_owned(),
                arguments: "{\"a\": 1}".to_owned(),
            }],
            ..said("assistant", "")
        };
        let answered = Message {
            tool_call_id: "c".to_owned(),
            ..said("tool", "3")
        };
        let expected = [
            said("system", "S"),
            said("user", "one\ntwo"),
            called,
            answered,
            said("assistant", "No."),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_stands_before_a_conversation_is_one_message() {
        let list = json!([{"role": "developer", "content": "A"}, {"role": "system", "content": "B"},
            {"role": "user", "content": "C"}, {"role": "system", "content": "D"}]);
        let expected = [
            said("developer", "A\n\nB"),
            said("user", "C"),
            said("system", "D"),
        ];
        assert_eq!(read(&list).unwrap(), expected);
    }

    #[test]
    fn results_stand_in_the_order_of_their_calls() {
        let call = |id| json!({"id": id, "function": {"name": "f"}});
        let result = |id| json!({"role": "tool", "tool_call_id": id, "content": ""});
        let calls = json!({"role": "assistant", "tool_calls": [call("b"), call("a")]});
        let list = [
            calls.clone(),
            result("c"),
            result("a"),
            result("b"),
            calls,
            result("a"),
        ];
        let read = read(&json!(list)).unwrap();
        let ids: Vec<&str> = read
            .iter()
            .map(|message| message.tool_call_id.as_str())
            .collect();
        assert_eq!(ids, ["", "b", "a", "c", "", "a"]);
    }

    #[test]
    fn what_cannot_be_told_to_the_model_is_refused_by_its_place() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
        let audio = json!({"type": "input_audio", "input_audio": {}});
        for (message, param) in [
            (
                json!({"role": "user", "content": [image]}),
                "messages[0].content[0].type",
            ),
            (
                json!({"role": "user", "content": [audio]}),
                "messages[0].content[0].type",
            ),
            (json!({"role": "user"}), "messages[0].content"),
            (
                json!({"role": "function", "name": "f", "content": "1"}),
                "messages[0].role",
            ),
            (
                json!({"role": "tool", "content": "1"}),
                "messages[0].tool_call_id",
            ),
            (
                json!({"role": "assistant", "function_call": {"name": "f"}}),
                "messages[0].function_call",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}),
                "messages[0].tool_calls[0].type",
            ),
            (
                json!({"role": "user", "content": "a", "mood": "b"}),
                "messages[0].mood",
            ),
            (json!("Hello"), "messages[0]"),
        ] {
            let error = read(&json!([message])).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{message}");
        }
        assert_eq!(
            read(&json!([])).unwrap_err().param.as_deref(),
            Some("messages")
        );
    }
}
