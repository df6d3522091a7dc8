//! The `python-executor` program: reads the command line, starts the zygote, describes the tools, serves, and reports
//! what went wrong. It is a library with one door, so that its reference can be made from its own definition.

mod broker;
mod call;
mod catalogue;
mod check;
mod child;
mod cli;
mod course;
mod doctor;
mod executor;
mod interpreter;
mod mcp;
mod mount;
mod outcome;
mod paths;
mod places;
mod policy;
mod profile;
mod protocol;
mod reload;
mod sandbox;
mod service;
mod sessions;
mod spares;
mod start;
mod supervisor;
#[cfg(not(zygotes))]
mod worker;
#[cfg(zygotes)]
mod zygote;

use std::process::ExitCode;

use ipc::program::{Failure, command_line, report};

pub use self::cli::Cli;

/// What `main` does.
pub fn run() -> ExitCode {
    let result = command_line::<cli::Cli>().and_then(|cli| match cli.command {
        #[cfg(not(zygotes))]
        Some(cli::Command::Worker(what)) => worker(&what),
        #[cfg(zygotes)]
        Some(cli::Command::Zygote { plan }) => {
            zygote::main(&plan).map_err(|error| Failure::new(format!("zygote: {error}"), ""))
        }
        #[cfg(zygotes)]
        Some(cli::Command::Server) => Err(Failure::new(
            match sandbox::Program::read() {
                Ok(program) => program.run(),
                Err(error) => format!("what is to be started cannot be read: {error}"),
            },
            "",
        )),
        Some(cli::Command::Check { dir, serve }) => check::check(&dir, &serve),
        Some(cli::Command::Doctor { json, serve }) => doctor::doctor(json, &serve),
        None => start::serve(&cli.serve),
    });
    report(result)
}

#[cfg(not(zygotes))]
fn worker(what: &cli::Worker) -> Result<(), Failure> {
    let cli::Worker {
        venv,
        package,
        preload,
        trial,
    } = what;
    if !trial {
        worker::main(venv, package, preload)
    }
    worker::trial(venv, package, preload)
        .map_err(|error| Failure::new(format!("worker: {error}"), ""))
}
