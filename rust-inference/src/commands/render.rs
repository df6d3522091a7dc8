//! `render`: the exact prompt of a conversation.

use std::path::Path;

use ipc::program::Failure;
use rust_inference::functiongemma::{self, Conversation, Prompt};
use serde_json::json;

use super::{
    batch::{self, Refusal},
    files,
};

const SHAPE: &str = r#"give {"messages": [{"role": "user", "content": "…"}], "tools": [{"name", "description", "parameters"}]}"#;

pub(crate) fn render(input: &Path, batch: bool) -> Result<(), Failure> {
    if batch {
        return batch::run(input, |line| {
            let tools = line.tools.unwrap_or("[]");
            let chat = format!(r#"{{"messages":{},"tools":{tools}}}"#, line.messages()?);
            let prompt = functiongemma::render(&Conversation::from_json(&chat)?)
                .map_err(|error| Refusal::new(error.to_string()))?;
            Ok(json!({"prompt": prompt.text(), "warnings": warnings(&prompt)}))
        });
    }
    let text = files::read(input)?;
    let conversation =
        Conversation::from_json(&text).map_err(|error| Failure::new(error, SHAPE))?;
    let prompt = functiongemma::render(&conversation).map_err(|error| Failure::new(error, ""))?;
    for warning in warnings(&prompt) {
        eprintln!("warning: {warning}");
    }
    files::print(&prompt.text())
}

/// What was repaired, and what the printed prompt does not show.
fn warnings(prompt: &Prompt) -> Vec<String> {
    let spelt = prompt.spelt().into_iter().map(|token| {
        format!("a text spells {token}: the model is given it as letters, but in the prompt's text it looks like the token")
    });
    prompt.warnings.iter().cloned().chain(spelt).collect()
}
