//! The tools that are offered, and the calls that a model is taken to write.

use std::{fs, path::Path};

use rust_inference::{
    functiongemma::{Call, Conversation, Message, Role, Tool, render},
    tokenizer::Tokenizer,
};
use serde_json::Value;

use crate::Result;

/// Rows of the embedding, which no token id may reach.
pub const VOCABULARY: usize = 262_144;

pub struct Workload {
    pub tokenizer_json: Vec<u8>,
    pub tools: Vec<Tool>,
    calls: Vec<Value>,
}

impl Workload {
    /// The first `count` of the tools, and the calls of these.
    pub fn read(model: &str, tools: &str, calls: &str, count: usize) -> Result<Self> {
        let tools = format!(
            "{{\"messages\":[],\"tools\":{}}}",
            fs::read_to_string(tools)?
        );
        let mut tools = Conversation::from_json(&tools)?.tools;
        tools.truncate(count);
        let mut calls = (fs::read_to_string(calls)?.lines())
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect::<Result<Vec<Value>>>()?;
        calls.retain(|call| tools.iter().any(|tool| call["name"] == tool.name));
        Ok(Self {
            tokenizer_json: fs::read(Path::new(model).join("tokenizer.json"))?,
            tools,
            calls,
        })
    }

    /// The calls, with other texts in each round: a second question is not the first one again.
    pub fn calls(&self, round: usize) -> Result<Vec<String>> {
        let varied = self.calls.iter().cloned().map(|mut call| {
            vary(&mut call, round);
            call
        });
        varied.map(|call| written(&call)).collect()
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.tokenizer_json, VOCABULARY)?)
    }
}

/// Turns the words of texts round. What has three words or more is no choice of an enum here.
fn vary(value: &mut Value, round: usize) {
    match value {
        Value::String(text) => {
            let mut words: Vec<&str> = text.split(' ').collect();
            if words.len() > 2 {
                let by = round % words.len();
                words.rotate_left(by);
                *text = words.join(" ");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| vary(item, round)),
        Value::Object(members) => members.values_mut().for_each(|value| vary(value, round)),
        _ => {}
    }
}

/// What a model writes to make this call: as the history of a conversation shows it.
fn written(call: &Value) -> Result<String> {
    let name = call["name"].as_str().unwrap_or_default().to_owned();
    let message = |role| Message {
        role,
        content: String::new(),
        calls: vec![],
        name: String::new(),
        response: Value::Null,
    };
    let calling = Call {
        id: String::new(),
        name: name.clone(),
        arguments: call["arguments"].as_object().cloned().unwrap_or_default(),
    };
    let model = Message {
        calls: vec![calling],
        ..message(Role::Model)
    };
    let tool = Message {
        name,
        ..message(Role::Tool)
    };
    let conversation = Conversation {
        messages: vec![message(Role::User), model, tool],
        tools: vec![],
    };
    let prompt = render(&conversation)?.text();
    let (start, end) = ("<start_function_call>", "<start_function_response>");
    let from = prompt.find(start).ok_or("no call was rendered")?;
    let written = prompt[from..].split(end).next().unwrap_or_default();
    Ok(format!("{written}{end}"))
}
