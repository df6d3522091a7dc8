//! `parse`: the text and the calls in what a model wrote.

use std::{path::Path, sync::Arc};

use ipc::program::Failure;
use rust_inference::functiongemma::{self, InputError, ParseError, Tool, Toolbox, tools_from_json};
use serde_json::{Value, json};

use super::{
    batch::{self, Refusal},
    cache::Cache,
    files,
};

pub(crate) fn parse(tools: Option<&Path>, batch: bool) -> Result<(), Failure> {
    let offered = match tools {
        Some(path) => {
            let toolbox = toolbox(&files::tools(path)?).map_err(|error| files::unusable(&error))?;
            Some(toolbox)
        }
        None => None,
    };
    let input = Path::new("-");
    if batch {
        let mut known = Cache::new();
        return batch::run(input, |line| {
            let toolbox = match (line.tools, &offered) {
                (Some(text), _) => known.get(text, |text| {
                    tools_from_json(text).and_then(|tools| toolbox(&tools))
                })?,
                (None, Some(offered)) => offered.clone(),
                (None, None) => return Err(Refusal::no_tools()),
            };
            Ok(calls(toolbox, &line.text()?)?)
        });
    }
    let toolbox = offered.unwrap_or_default();
    let calls = calls(toolbox, &files::read(input)?).map_err(|error| Failure::new(error, ""))?;
    files::print(&format!("{calls}\n"))
}

fn toolbox(tools: &[Tool]) -> Result<Arc<Toolbox>, InputError> {
    Toolbox::new(tools).map(Arc::new)
}

fn calls(toolbox: Arc<Toolbox>, text: &str) -> Result<Value, ParseError> {
    let (content, calls) = functiongemma::parse(toolbox, text)?;
    let calls: Vec<Value> = calls
        .into_iter()
        .map(|call| json!({"name": call.name, "arguments": call.arguments}))
        .collect();
    Ok(json!({"content": content, "tool_calls": calls}))
}
