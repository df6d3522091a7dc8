//! `check`: loads a directory of tools as a server would, under full confinement, and says what is wrong with them.

use std::{io::Write as _, path::Path, sync::Arc};

use ipc::program::Failure;

use crate::{catalogue::Catalogue, cli::Serve, start};

/// One line a tool and a problem on standard output. A failure: there is a problem.
pub(crate) fn check(dir: &Path, args: &Serve) -> Result<(), Failure> {
    let (executor, tools) = start::prepare(&Serve {
        tools: Some(dir.to_owned()),
        spares: 0,
        ..args.clone()
    })?;
    let executor = Arc::new(executor);
    let catalogue = start::runtime()?
        .block_on(Catalogue::load(&executor, &tools, None))
        .map_err(|error| {
            Failure::usage(format!("{}: {error}", tools.display()), "give another DIR")
        })?
        .unwrap_or_default();
    let mut out = std::io::stdout().lock();
    let mut lines: Vec<String> = Vec::new();
    for (tool, info) in catalogue.tools().iter().zip(catalogue.details()) {
        lines.push(format!("ok       {}  {}", info.file, tool.name));
        if tool.description.is_empty() {
            lines.push(format!(
                "warning  {}  {} has no description: write a docstring, the model chooses by it",
                info.file, tool.name
            ));
        }
    }
    for note in &catalogue.notes {
        lines.push(format!("warning  {note}"));
    }
    for problem in &catalogue.problems {
        lines.push(format!("error    {}  {}", problem.file, problem.message));
    }
    if lines.is_empty() {
        lines.push(format!("warning  {} has no *.py files", tools.display()));
    }
    // Nobody need read it: the exit status says the same.
    let _ = writeln!(out, "{}", lines.join("\n"));
    match catalogue.problems.len() {
        0 => Ok(()),
        1 => Err(Failure::new("one problem", "")),
        problems => Err(Failure::new(format!("{problems} problems"), "")),
    }
}
