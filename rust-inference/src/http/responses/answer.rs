//! A response and the items in it: whole, or as far as they have come.

use ipc::proto::{Done, ToolCall, Usage};
use serde_json::{Map, Value, json};

use crate::http::{
    ids::{call_id, id, now},
    told::{extension, sums},
};

/// One part of what is answered.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Message {
        id: String,
        text: String,
        status: &'static str,
    },
    Call {
        id: String,
        call_id: String,
        name: String,
        arguments: String,
        status: &'static str,
    },
}

pub(super) const UNDER_WAY: &str = "in_progress";
pub(super) const COMPLETED: &str = "completed";
pub(super) const INCOMPLETE: &str = "incomplete";

impl Item {
    pub(super) fn message() -> Self {
        Self::Message {
            id: id("msg_"),
            text: String::new(),
            status: UNDER_WAY,
        }
    }

    /// The call of this number of the answer.
    pub(super) fn call(response: &str, index: u32, name: &str) -> Self {
        Self::Call {
            id: id("fc_"),
            call_id: call_id(response, 0, index),
            name: name.to_owned(),
            arguments: String::new(),
            status: UNDER_WAY,
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. } | Self::Call { id, .. } => id,
        }
    }

    pub(super) fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }

    /// What was written of it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Message { text, .. }
            | Self::Call {
                arguments: text, ..
            } => text,
        }
    }

    pub(super) fn push(&mut self, piece: &str) {
        let (Self::Message { text, .. }
        | Self::Call {
            arguments: text, ..
        }) = self;
        text.push_str(piece);
    }

    pub(super) fn is_open(&self) -> bool {
        let (Self::Message { status, .. } | Self::Call { status, .. }) = self;
        *status == UNDER_WAY
    }

    pub(super) fn close(&mut self, how: &'static str) {
        let (Self::Message { status, .. } | Self::Call { status, .. }) = self;
        *status = how;
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Message { id, text, status } => {
                // One that has just begun has no parts yet.
                let begun = *status != UNDER_WAY || !text.is_empty();
                let content: Vec<Value> = begun.then(|| part(text)).into_iter().collect();
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
            }
            Self::Call {
                id,
                call_id,
                name,
                arguments,
                status,
            } => json!({
                "id": id,
                "type": "function_call",
                "status": status,
                "call_id": call_id,
                "name": name,
                "arguments": arguments,
            }),
        }
    }
}

pub(super) fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// What all states of one response have in common.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: String,
    created: u64,
    model: String,
    echo: Map<String, Value>,
}

impl Head {
    pub(super) fn new(model: String, echo: Map<String, Value>) -> Self {
        Self {
            id: id("resp_"),
            created: now(),
            model,
            echo,
        }
    }

    pub(super) fn response(&self, status: &str, items: &[Item]) -> Map<String, Value> {
        let mut response = Map::new();
        let mut put = |name: &str, value: Value| {
            response.insert(name.to_owned(), value);
        };
        put("id", self.id.as_str().into());
        put("object", "response".into());
        put("created_at", self.created.into());
        put("status", status.into());
        put("model", self.model.as_str().into());
        put("output", items.iter().map(Item::json).collect());
        for name in [
            "error",
            "incomplete_details",
            "previous_response_id",
            "usage",
        ] {
            put(name, Value::Null);
        }
        put("background", false.into());
        put("store", false.into());
        put("truncation", "disabled".into());
        put("service_tier", "default".into());
        put("reasoning", json!({"effort": null, "summary": null}));
        response.extend(self.echo.clone());
        response
    }

    /// The response at its end.
    pub(super) fn ended(&self, done: &Done, items: &[Item]) -> Map<String, Value> {
        let cut = done.finish_reason == "length";
        let mut response = self.response(if cut { INCOMPLETE } else { COMPLETED }, items);
        if cut {
            let why = json!({"reason": "max_output_tokens"});
            response.insert("incomplete_details".to_owned(), why);
        }
        response.insert("usage".to_owned(), usage(done.usage));
        response.insert("callspan".to_owned(), extension(done));
        response
    }

    /// The items of an answer that came as a whole.
    pub(super) fn items(&self, done: &Done) -> Vec<Item> {
        let mut items = Vec::new();
        if !done.content.is_empty() || done.tool_calls.is_empty() {
            let mut message = Item::message();
            message.push(&done.content);
            items.push(message);
        }
        items.extend((done.tool_calls.iter().zip(0..)).map(|(call, index)| self.call(call, index)));
        let how = how(done);
        for item in &mut items {
            item.close(if item.is_message() { how } else { COMPLETED });
        }
        items
    }

    fn call(&self, call: &ToolCall, index: u32) -> Item {
        let mut item = Item::call(&self.id, index, &call.name);
        item.push(&call.arguments);
        item
    }
}

/// How a text ends with its answer.
pub(super) fn how(done: &Done) -> &'static str {
    match done.finish_reason.as_str() {
        "length" => INCOMPLETE,
        _ => COMPLETED,
    }
}

fn usage(usage: Option<Usage>) -> Value {
    let (prompt, cached, written) = sums(usage.as_slice());
    json!({
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt.saturating_add(written),
    })
}
