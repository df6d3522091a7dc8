//! The events of a response, in the order in which the API has them: each item is begun, told piece by piece, and closed.

use ipc::proto::{Delta, Done, ToolCall, frame::Body};
use serde_json::{Map, Value, json};

use super::answer::{COMPLETED, Head, INCOMPLETE, Item, UNDER_WAY, how, part};
use crate::http::{
    error::ApiError,
    events::{Events, Translate},
    told::ended,
};

/// A response on its way.
#[derive(Debug)]
pub(super) struct Steps {
    head: Head,
    items: Vec<Item>,
    /// Where each call stands among the items.
    calls: Vec<usize>,
    /// So many of the calls are closed.
    closed: usize,
    /// Bytes of all text.
    told: usize,
    /// Events so far.
    sequence: u64,
}

impl Steps {
    pub(super) fn new(head: Head) -> Self {
        Self {
            head,
            items: Vec::new(),
            calls: Vec::new(),
            closed: 0,
            told: 0,
            sequence: 0,
        }
    }

    fn event(&mut self, name: &str, fields: Value, events: &mut Events) {
        let mut event = Map::new();
        event.insert("type".to_owned(), name.into());
        event.insert("sequence_number".to_owned(), self.sequence.into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        events.named(name, &event.into());
    }

    fn begin(&mut self, events: &mut Events) {
        if self.sequence > 0 {
            return;
        }
        for name in ["response.created", "response.in_progress"] {
            let response = self.head.response(UNDER_WAY, &[]);
            self.event(name, json!({"response": response}), events);
        }
    }

    /// Begins an item; says where it stands.
    fn add(&mut self, item: Item, events: &mut Events) -> usize {
        let (at, id) = (self.items.len(), item.id().to_owned());
        let fields = json!({"output_index": at, "item": item.json()});
        self.event("response.output_item.added", fields, events);
        if item.is_message() {
            let fields =
                json!({"item_id": id, "output_index": at, "content_index": 0, "part": part("")});
            self.event("response.content_part.added", fields, events);
        }
        self.items.push(item);
        at
    }

    /// A piece of an item's text.
    fn push(&mut self, at: usize, piece: &str, events: &mut Events) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        item.push(piece);
        let mut fields = json!({"item_id": item.id(), "output_index": at, "delta": piece});
        let name = if item.is_message() {
            if let Value::Object(fields) = &mut fields {
                fields.insert("content_index".to_owned(), 0.into());
                fields.insert("logprobs".to_owned(), json!([]));
            }
            "response.output_text.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.event(name, fields, events);
    }

    fn close(&mut self, at: usize, how: &'static str, events: &mut Events) {
        let Some(item) = self.items.get_mut(at).filter(|item| item.is_open()) else {
            return;
        };
        item.close(how);
        let item = item.clone();
        let (id, text) = (item.id(), item.text());
        match &item {
            Item::Message { .. } => {
                let fields = json!({"item_id": id, "output_index": at, "content_index": 0, "text": text, "logprobs": []});
                self.event("response.output_text.done", fields, events);
                let fields = json!({"item_id": id, "output_index": at, "content_index": 0, "part": part(text)});
                self.event("response.content_part.done", fields, events);
            }
            Item::Call { name, .. } => {
                let fields =
                    json!({"item_id": id, "output_index": at, "name": name, "arguments": text});
                self.event("response.function_call_arguments.done", fields, events);
            }
        }
        let fields = json!({"output_index": at, "item": item.json()});
        self.event("response.output_item.done", fields, events);
    }

    fn text(&mut self, text: &str, events: &mut Events) {
        if text.is_empty() {
            return;
        }
        self.told += text.len();
        let open = (self.items.last()).is_some_and(|last| last.is_message() && last.is_open());
        let at = if open {
            self.items.len() - 1
        } else {
            self.add(Item::message(), events)
        };
        self.push(at, text, events);
    }

    fn begin_call(&mut self, index: u32, name: &str, events: &mut Events) -> usize {
        if let Some(last) = self.items.len().checked_sub(1)
            && self.items.get(last).is_some_and(Item::is_message)
        {
            self.close(last, COMPLETED, events);
        }
        let at = self.add(Item::call(&self.head.id, index, name), events);
        self.calls.push(at);
        at
    }

    fn fragment(&mut self, index: u32, name: &str, arguments: &str, events: &mut Events) {
        let begun = self.calls.get(index as usize).copied();
        let at = begun.unwrap_or_else(|| self.begin_call(index, name, events));
        if !arguments.is_empty() {
            self.push(at, arguments, events);
        }
    }

    /// The next call is complete. A server behind this one may tell it as a whole.
    fn complete(&mut self, call: &ToolCall, events: &mut Events) {
        if self.closed >= self.calls.len() {
            let index = self.closed as u32;
            self.fragment(index, &call.name, &call.arguments, events);
        }
        if let Some(at) = self.calls.get(self.closed).copied() {
            self.close(at, COMPLETED, events);
            self.closed += 1;
        }
    }

    fn delta(&mut self, delta: &Delta, events: &mut Events) {
        self.text(&delta.text, events);
        for part in &delta.call_deltas {
            self.fragment(part.index, &part.name, &part.arguments, events);
        }
        for call in &delta.tool_calls {
            self.complete(call, events);
        }
    }

    fn done(&mut self, done: &Done, events: &mut Events) {
        let rest = done.content.get(self.told..).unwrap_or_default().to_owned();
        self.text(&rest, events);
        for call in done.tool_calls.iter().skip(self.closed) {
            self.complete(call, events);
        }
        if self.items.is_empty() {
            self.add(Item::message(), events);
        }
        for at in 0..self.items.len() {
            // What is still open of the calls was cut off.
            let message = self.items.get(at).is_some_and(Item::is_message);
            self.close(at, if message { how(done) } else { INCOMPLETE }, events);
        }
        let response = self.head.ended(done, &self.items);
        let name = if how(done) == COMPLETED {
            "response.completed"
        } else {
            "response.incomplete"
        };
        self.event(name, json!({"response": response}), events);
    }
}

impl Translate for Steps {
    fn item(&mut self, _index: usize, body: Body, events: &mut Events) -> Result<(), ApiError> {
        match body {
            Body::Delta(delta) => {
                self.begin(events);
                self.delta(&delta, events);
            }
            Body::Done(done) => {
                let done = ended(done)?;
                self.begin(events);
                self.done(&done, events);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _events: &mut Events) {}

    fn failed(&mut self, error: &ApiError, events: &mut Events) {
        let mut response = self.head.response("failed", &self.items);
        // A closed list of words in the API; our own beside it.
        let code = error.code.filter(|code| *code == "rate_limit_exceeded");
        let code = code.unwrap_or("server_error");
        let told =
            json!({"code": code, "message": error.message, "callspan": {"code": error.code}});
        response.insert("error".to_owned(), told);
        self.event("response.failed", json!({"response": response}), events);
    }
}

#[cfg(test)]
mod tests;
