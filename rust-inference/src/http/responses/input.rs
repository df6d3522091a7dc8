//! The input of `/v1/responses`, items in a row, as the protocol's messages.

use ipc::proto::{Message, ToolCall};
use serde_json::Value;

use crate::http::{
    error::ApiError,
    fields::Fields,
    messages::{content, joined, text_of},
};

/// What is said first, and then the input.
pub(super) fn input(request: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    if let Some(instructions) = request.text("instructions")? {
        messages.push(said("developer", instructions));
    }
    match request.take("input") {
        None => return Err(request.wrong("input", "is missing")),
        Some(Value::String(text)) => messages.push(said("user", text)),
        Some(Value::Array(items)) => {
            for (index, value) in items.into_iter().enumerate() {
                item(Fields::of(value, format!("input[{index}]"))?, &mut messages)?;
            }
        }
        Some(_) => return Err(request.wrong("input", "is neither a text nor a list of items")),
    }
    Ok(joined(messages))
}

fn said(role: &str, content: String) -> Message {
    Message {
        role: role.to_owned(),
        content,
        ..Message::default()
    }
}

fn item(mut fields: Fields, messages: &mut Vec<Message>) -> Result<(), ApiError> {
    let kind = fields.text("type")?.unwrap_or_else(|| "message".to_owned());
    // Of an answer that is sent back.
    fields.without_effect(&["id", "status", "phase"]);
    match kind.as_str() {
        "message" => {
            let role = fields.needed_text("role")?;
            if !["user", "system", "developer", "assistant"].contains(&role.as_str()) {
                let what =
                    format!("is {role:?}: possible are user, system, developer and assistant");
                return Err(fields.wrong("role", &what));
            }
            let content =
                content(&mut fields)?.ok_or_else(|| fields.wrong("content", "is missing"))?;
            messages.push(said(&role, content));
        }
        "function_call" => {
            let call = ToolCall {
                id: fields.needed_text("call_id")?,
                name: fields.needed_text("name")?,
                arguments: fields.needed_text("arguments")?,
            };
            fields.without_effect(&["parsed_arguments"]);
            match messages.last_mut() {
                // What the assistant said and called in one turn is one message.
                Some(last) if last.role == "assistant" => last.tool_calls.push(call),
                _ => messages.push(Message {
                    tool_calls: vec![call],
                    ..said("assistant", String::new())
                }),
            }
        }
        "function_call_output" => {
            let call = fields.needed_text("call_id")?;
            let place = fields.path("output");
            let output = match fields.take("output") {
                Some(Value::String(text)) => text,
                Some(Value::Array(parts)) => text_of(parts, &place)?,
                _ => return Err(fields.wrong("output", "is neither a text nor a list of parts")),
            };
            messages.push(Message {
                tool_call_id: call,
                ..said("tool", output)
            });
        }
        // What another model thought is no part of the conversation.
        "reasoning" => return Ok(()),
        "item_reference" => {
            let what = "is item_reference: nothing is stored here, so send the item itself";
            return Err(fields.unsupported("type", what));
        }
        other => {
            let what = format!(
                "is {other:?}: this server reads message, function_call, function_call_output and reasoning"
            );
            return Err(fields.unsupported("type", &what));
        }
    }
    fields.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Vec<Message>, ApiError> {
        input(&mut Fields::of(value.clone(), "").unwrap())
    }

    #[test]
    fn items_are_the_messages_of_a_conversation() {
        let read = read(&json!({"instructions": "Be brief.", "input": [
            {"role": "system", "content": "In English."},
            {"role": "user", "content": [{"type": "input_text", "text": "Ring twice"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
             "content": [{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "ring", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "ring", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        ]}))
        .unwrap();
        let roles: Vec<&str> = read.iter().map(|message| message.role.as_str()).collect();
        assert_eq!(roles, ["developer", "user", "assistant", "tool", "tool"]);
        assert_eq!(read[0].content, "Be brief.\n\nIn English.");
        assert_eq!(
            (read[2].content.as_str(), read[2].tool_calls.len()),
            ("Yes.", 2)
        );
        assert_eq!(
            (read[4].content.as_str(), read[4].tool_call_id.as_str()),
            ("2", "c2")
        );
        let text = super::tests::read(&json!({"input": "Hello"})).unwrap();
        assert_eq!(text, [said("user", "Hello".to_owned())]);
    }

    #[test]
    fn what_is_stored_nowhere_or_no_text_is_refused_by_its_place() {
        let image = json!({"type": "input_image", "image_url": "data:"});
        for (item, param) in [
            (
                json!({"type": "item_reference", "id": "x"}),
                "input[0].type",
            ),
            (
                json!({"type": "web_search_call", "id": "x"}),
                "input[0].type",
            ),
            (json!({"role": "tool", "content": "x"}), "input[0].role"),
            (
                json!({"role": "user", "content": [image]}),
                "input[0].content[0].type",
            ),
            (
                json!({"type": "function_call", "name": "f", "arguments": ""}),
                "input[0].call_id",
            ),
            (
                json!({"type": "function_call_output", "call_id": "c"}),
                "input[0].output",
            ),
            (
                json!({"role": "user", "content": "x", "mood": 1}),
                "input[0].mood",
            ),
        ] {
            let error = read(&json!({"input": [item]})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{item}");
        }
        assert_eq!(
            read(&json!({})).unwrap_err().param.as_deref(),
            Some("input")
        );
    }
}
