//! `render` and `parse`: the chat format by hand, without a model.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use ipc::program::Failure;
use rust_inference::functiongemma::{self, Conversation, Toolbox};
use serde_json::{Value, json};

const SHAPE: &str = r#"give {"messages": [{"role": "user", "content": "…"}], "tools": [{"name", "description", "parameters"}]}"#;

pub(crate) fn render(input: &Path) -> Result<(), Failure> {
    let text = read(input)?;
    let conversation =
        Conversation::from_json(&text).map_err(|error| Failure::new(error, SHAPE))?;
    let prompt = functiongemma::render(&conversation).map_err(|error| Failure::new(error, ""))?;
    for warning in &prompt.warnings {
        eprintln!("warning: {warning}");
    }
    for token in prompt.spelt() {
        eprintln!(
            "warning: a text spells {token}: the model is given it as letters, but below it looks like the token"
        );
    }
    print(&prompt.text())
}

pub(crate) fn parse(tools: &Path) -> Result<(), Failure> {
    let tools = read(tools)?;
    let shape = |error: &dyn std::error::Error| {
        Failure::new(
            error,
            r#"give the tools as [{"name", "description", "parameters"}]"#,
        )
    };
    let list: Value = serde_json::from_str(&tools).map_err(|error| shape(&error))?;
    let list = match list {
        Value::Object(mut map) => map.remove("tools"),
        other => Some(other),
    };
    // Whatever else it is, taking it for no tools would turn every call into one of an unknown function.
    let Some(list @ Value::Array(_)) = list else {
        return Err(Failure::new(
            "the tools are not a list",
            r#"give them as [{"name", "description", "parameters"}] or {"tools": […]}"#,
        ));
    };
    let chat = json!({"messages": [], "tools": list}).to_string();
    let conversation = Conversation::from_json(&chat).map_err(|error| shape(&error))?;
    let toolbox = Toolbox::new(&conversation.tools).map_err(|error| shape(&error))?;
    let text = read(Path::new("-"))?;
    let (content, calls) =
        functiongemma::parse(toolbox.into(), &text).map_err(|error| Failure::new(error, ""))?;
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|call| json!({"name": call.name, "arguments": call.arguments}))
        .collect();
    print(&format!(
        "{}\n",
        json!({"content": content, "tool_calls": calls})
    ))
}

/// Writes data to standard output; a reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write: {error}"), ""))
        }
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {error}", path.display()),
            "name a readable file of UTF-8 text, or - for standard input",
        )
    })
}
