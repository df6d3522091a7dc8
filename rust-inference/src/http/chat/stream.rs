//! `chat.completion.chunk`: the protocol's deltas as they come, in chunks that clients put together right however they are
//! cut: the first of a call has its id and name, all others only pieces of its arguments.

use ipc::proto::{Delta, Done, ToolCall, ToolCallDelta, Usage, frame::Body};
use serde_json::{Value, json};

use super::answer::{Head, logprobs, usage};
use crate::http::{
    error::ApiError,
    events::{Events, Translate},
    ids::call_id,
    told::{ended, extension},
};

/// A stream of chunks on its way.
#[derive(Debug)]
pub(super) struct Chunks {
    head: Head,
    choices: Vec<Choice>,
    include_usage: bool,
    usages: Vec<Usage>,
}

/// What was told of one choice.
#[derive(Clone, Debug, Default)]
struct Choice {
    begun: bool,
    /// Bytes of its text.
    text: usize,
    /// Calls that were begun.
    calls: u32,
}

impl Chunks {
    pub(super) fn new(head: Head, n: usize, include_usage: bool) -> Self {
        Self {
            head,
            choices: vec![Choice::default(); n],
            include_usage,
            usages: Vec::new(),
        }
    }

    fn chunk(&self, choices: &Value) -> Value {
        let mut chunk = self.head.object("chat.completion.chunk", choices);
        if let (Value::Object(chunk), true) = (&mut chunk, self.include_usage) {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        chunk
    }

    /// A chunk with a piece of one choice. The first of each says whose words these are.
    fn piece(&mut self, index: usize, mut delta: Value, events: &mut Events) {
        if let (Some(choice), Value::Object(delta)) = (self.choices.get_mut(index), &mut delta)
            && !std::mem::replace(&mut choice.begun, true)
        {
            delta.insert("role".to_owned(), "assistant".into());
            delta.entry("content").or_insert(Value::Null);
        }
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null});
        events.data(&self.chunk(&json!([choice])));
    }

    fn text(&mut self, index: usize, text: &str, events: &mut Events) {
        if text.is_empty() {
            return;
        }
        if let Some(choice) = self.choices.get_mut(index) {
            choice.text += text.len();
        }
        self.piece(index, json!({"content": text}), events);
    }

    fn fragment(&mut self, index: usize, part: &ToolCallDelta, events: &mut Events) {
        let Some(choice) = self.choices.get_mut(index) else {
            return;
        };
        if part.index >= choice.calls {
            choice.calls = part.index + 1;
            let id = call_id(&self.head.id, index, part.index);
            let function = json!({"name": part.name, "arguments": ""});
            let call =
                json!({"index": part.index, "id": id, "type": "function", "function": function});
            self.piece(index, json!({"tool_calls": [call]}), events);
        }
        if !part.arguments.is_empty() {
            let call = json!({"index": part.index, "function": {"arguments": part.arguments}});
            self.piece(index, json!({"tool_calls": [call]}), events);
        }
    }

    /// Those of all calls of which no fragment came.
    fn whole(&mut self, index: usize, calls: &[ToolCall], events: &mut Events) {
        let told = self.choices.get(index).map_or(0, |choice| choice.calls);
        for (call, number) in calls.iter().zip(0..).skip(told as usize) {
            let part = ToolCallDelta {
                index: number,
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                ..ToolCallDelta::default()
            };
            self.fragment(index, &part, events);
        }
    }

    fn delta(&mut self, index: usize, delta: &Delta, events: &mut Events) {
        self.text(index, &delta.text, events);
        for part in &delta.call_deltas {
            self.fragment(index, part, events);
        }
    }

    fn done(&mut self, index: usize, done: &Done, events: &mut Events) {
        let told = self.choices.get(index).map_or(0, |choice| choice.text);
        // A server behind this one may tell all at the end.
        let rest = done.content.get(told..).unwrap_or_default().to_owned();
        self.text(index, &rest, events);
        self.whole(index, &done.tool_calls, events);
        if self.choices.get(index).is_some_and(|choice| !choice.begun) {
            self.piece(index, json!({"content": ""}), events);
        }
        let choice = json!({
            "index": index,
            "delta": {},
            "logprobs": logprobs(&done.logprobs),
            "finish_reason": done.finish_reason,
        });
        let mut chunk = self.chunk(&json!([choice]));
        if let Value::Object(chunk) = &mut chunk {
            chunk.insert("callspan".to_owned(), extension(done));
        }
        events.data(&chunk);
        self.usages.extend(done.usage);
    }
}

impl Translate for Chunks {
    fn item(&mut self, index: usize, body: Body, events: &mut Events) -> Result<(), ApiError> {
        match body {
            Body::Delta(delta) => self.delta(index, &delta, events),
            Body::Done(done) => self.done(index, &ended(done)?, events),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Events) {
        if self.include_usage {
            let mut chunk = self.chunk(&json!([]));
            if let Value::Object(chunk) = &mut chunk {
                chunk.insert("usage".to_owned(), usage(&self.usages));
            }
            events.data(&chunk);
        }
        events.text("[DONE]");
    }

    fn failed(&mut self, error: &ApiError, events: &mut Events) {
        events.data(&error.body());
    }
}

#[cfg(test)]
mod tests;
