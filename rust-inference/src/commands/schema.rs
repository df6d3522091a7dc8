//! `schema`: what was understood of the tools' schemas, and what was refused.

use std::path::Path;

use ipc::program::Failure;
use rust_inference::{
    constrain::{Acceptor, Note, Options},
    functiongemma::{Tool, tools_from_json},
};
use serde_json::{Value, json};

use super::{
    batch::{self, Refusal},
    cache::Cache,
    files,
};

pub(crate) fn schema(tools: Option<&Path>, lenient: bool, batch: bool) -> Result<(), Failure> {
    let options = Options {
        lenient,
        ..Options::default()
    };
    if batch {
        let offered = tools.map(files::tools).transpose()?;
        let told = |tools: &[Tool]| match Acceptor::new(tools, options) {
            Ok(acceptor) => Ok(understood(tools, &acceptor)),
            Err(refused) => Err(Refusal::from(refused)),
        };
        let mut known = Cache::new();
        return batch::run(Path::new("-"), |line| match (line.tools, &offered) {
            (Some(text), _) => known.get(text, |text| told(&tools_from_json(text)?)),
            (None, Some(offered)) => told(offered),
            (None, None) => Err(Refusal::no_tools()),
        });
    }
    let Some(path) = tools else {
        return Err(Failure::usage("there are no tools", "give --tools FILE"));
    };
    let tools = files::tools(path)?;
    let refused = match Acceptor::new(&tools, options) {
        Ok(acceptor) => return print(&understood(&tools, &acceptor)),
        Err(refused) => refused,
    };
    print(&in_part(&tools, &refused))?;
    Err(Failure::new(
        format!(
            "{} of the schemas cannot be kept to",
            count(&tools, &refused)
        ),
        "change what is named under refused; --lenient leaves out what can be left out",
    ))
}

fn print(told: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(told).map_err(|error| Failure::new(error, ""))?;
    files::print(&(text + "\n"))
}

fn understood(tools: &[Tool], acceptor: &Acceptor) -> Value {
    let mut described = acceptor.grammar().describe();
    let functions = described.get_mut("functions").and_then(Value::as_array_mut);
    for (i, function) in functions
        .into_iter()
        .flatten()
        .enumerate()
        .take(tools.len())
    {
        add(function, "notes", &of_tool(i, acceptor.grammar().notes()));
    }
    described
}

/// Of each tool what would be understood without what is refused, where that is anything.
fn in_part(tools: &[Tool], refused: &[Note]) -> Value {
    let lenient = Options {
        lenient: true,
        ..Options::default()
    };
    let functions = tools.iter().enumerate().map(|(i, tool)| {
        let alone = Acceptor::new(std::slice::from_ref(tool), lenient).ok();
        let described = alone.and_then(|alone| {
            let described = alone.grammar().describe();
            described.pointer("/functions/0").cloned()
        });
        let mut function = described.unwrap_or_else(|| json!({"name": tool.name}));
        add(&mut function, "refused", &of_tool(i, refused));
        function
    });
    json!({"functions": functions.collect::<Vec<_>>()})
}

/// The notes about one tool.
fn of_tool(i: usize, notes: &[Note]) -> Vec<Note> {
    let place = format!("/tools/{i}");
    let about = |note: &&Note| {
        (note.pointer.strip_prefix(&place))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    notes.iter().filter(about).cloned().collect()
}

fn add(function: &mut Value, key: &str, notes: &[Note]) {
    if let (Value::Object(function), false) = (function, notes.is_empty()) {
        function.insert(key.to_owned(), batch::notes(notes));
    }
}

fn count(tools: &[Tool], refused: &[Note]) -> usize {
    (0..tools.len())
        .filter(|i| !of_tool(*i, refused).is_empty())
        .count()
}
