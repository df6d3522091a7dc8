//! The command line: what it looks like, and the one place where a failure becomes words and an exit status.
use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::tap;

mod artefacts;
mod call;
mod decide;
mod fault;
mod health;
mod request;
pub(crate) mod text;

pub(crate) use fault::{Fault, why_not};

const EXAMPLES: &str = "Examples:
  ipc health /tmp/inf.sock
  ipc call /tmp/inf.sock generate '{\"prompt\":\"Hello\",\"max_tokens\":16,\"stream\":true}'
  ipc call /tmp/exec.sock call_tool '{\"name\":\"convert\",\"arguments\":{\"value\":12}}'
  ipc tap /tmp/tapped.sock /tmp/inf.sock";

#[derive(Debug, Parser)]
#[command(name = "ipc", version, about = "Look at, and speak, the Callspan protocol", after_help = EXAMPLES)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stand between clients and a server, and print one line per frame
    Tap(tap::TapArgs),
    /// Send one request and print each answer frame as a line of JSON
    Call(call::CallArgs),
    /// Ask a server how it is
    Health(health::HealthArgs),
}

/// Where a server listens.
#[derive(Debug, Args)]
struct Server {
    /// The server's socket
    socket: PathBuf,
}

/// Parses the command line, does what it says, reports.
pub fn run() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => with_runtime(cli.command),
        Err(error) if error.use_stderr() => {
            let Some(fault) = Fault::of_usage(&error) else {
                // The help that was not asked for: best effort, as there is nobody to tell.
                let _ = error.print();
                return ExitCode::from(fault::USAGE);
            };
            Err(fault)
        }
        // --help and --version are data.
        Err(error) => error
            .print()
            .map(|()| 0)
            .map_err(|error| Fault::of_stdout(&error)),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            fault.report();
            ExitCode::from(fault.code)
        }
    }
}

/// One thread: forwarding is not work, and what is work (decoding, a slow terminal) has a thread of its own.
fn with_runtime(command: Command) -> Result<u8, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Fault::other(
                format!("cannot start: {error}"),
                "look at the system's limits (ulimit -a)",
            )
        })?;
    let done = runtime.block_on(async {
        match command {
            Command::Tap(args) => tap::run(args).await,
            Command::Call(args) => call::run(args).await,
            Command::Health(args) => health::run(args).await,
        }
    });
    // A thread that waits for a terminal or for stdin must not keep us.
    runtime.shutdown_background();
    done
}
