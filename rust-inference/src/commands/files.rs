//! What the commands read, and where they write what they found out.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use ipc::program::Failure;
use rust_inference::functiongemma::{InputError, Tool, tools_from_json};

const TOOLS: &str =
    r#"give the tools as [{"name", "description", "parameters"}] or {"tools": […]}"#;

/// The tools in a file.
pub(super) fn tools(path: &Path) -> Result<Vec<Tool>, Failure> {
    tools_from_json(&read(path)?).map_err(|error| unusable(&error))
}

/// What is wrong with tools that came from a file.
pub(super) fn unusable(error: &InputError) -> Failure {
    Failure::new(error, TOOLS)
}

/// All of a file, or of standard input.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| unreadable(path, &error))
}

/// A file, or standard input, to be read as it comes.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    match fs::File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(unreadable(path, &error)),
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(
        format!("cannot read {}: {error}", path.display()),
        "name a readable file of UTF-8 text, or - for standard input",
    )
}

/// Writes data to standard output; a reader that has seen enough is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(drop)
}

/// Whether somebody still reads what is written.
pub(super) fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("cannot write: {error}"), "")),
    }
}
