//! Makes what is written of the programs elsewhere from what they are made of: reference pages, manual pages and shell
//! completions from the definitions of their command lines, the protocol's page from the .proto with its comments, and
//! the page of environment variables. All of it is committed, so that it can be read and installed without building
//! this; `--check` says what is no longer as it would be made.

mod completions;
mod environment;
mod manual;
mod optparse;
mod pages;
mod protocol;
mod reference;
mod text;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser};
use ipc::program::{Failure, command_line, report};

use self::pages::Pages;

/// Makes the reference pages, the manual pages and the completions.
#[derive(Debug, Parser)]
#[command(name = "docs-generate")]
struct Cli {
    /// Only say what is not as it would be made: exit status 1 if anything
    #[arg(long)]
    check: bool,
    /// The built program, whose help is read: it is not written in Rust
    #[arg(long, value_name = "PROGRAM")]
    callspan: PathBuf,
    /// The documents' directory
    #[arg(long, value_name = "DIR", default_value = "docs")]
    docs: PathBuf,
}

fn main() -> ExitCode {
    report(command_line::<Cli>().and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let registry = cli.docs.join("environment.toml");
    let variables = std::fs::read_to_string(&registry)
        .map_err(|error| Failure::new(format!("{}: {error}", registry.display()), ""))?;
    let programs = [
        optparse::program("callspan", &cli.callspan)?,
        rust_inference::cli::Cli::command(),
        python_executor::Cli::command(),
        ipc::cli::Cli::command(),
    ];

    let mut pages = Pages::default();
    for program in &programs {
        let name = program.get_name();
        pages.add(format!("reference/{name}.md"), reference::page(program));
        for (name, page) in manual::pages(program)? {
            pages.add(format!("man/{name}.1"), page);
        }
        for (name, script) in completions::scripts(program) {
            pages.add(format!("completions/{name}"), script);
        }
    }
    pages.add("reference/protocol.md", protocol::page()?);
    pages.add(
        "reference/environment.md",
        environment::page(&programs, &variables)?,
    );

    let made = ["reference", "man", "completions"];
    if cli.check {
        pages.check(&cli.docs, &made)
    } else {
        pages.write(&cli.docs, &made)
    }
}
