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
    pub calls: Vec<String>,
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
        let calls = fs::read_to_string(calls)?
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect::<Result<Vec<Value>>>()?
            .iter()
            .filter(|call| tools.iter().any(|tool| call["name"] == tool.name))
            .map(written)
            .collect::<Result<_>>()?;
        Ok(Self {
            tokenizer_json: fs::read(Path::new(model).join("tokenizer.json"))?,
            tools,
            calls,
        })
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.tokenizer_json, VOCABULARY)?)
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
