//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::sandbox::Isolation;

/// Runs Python tools, each call in a confined process of its own, over a Unix domain socket.
#[derive(Debug, Parser)]
#[command(
    name = "python-executor",
    version,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Where to listen [default: `$XDG_RUNTIME_DIR/callspan/executor.sock`]
    #[arg(long, value_name = "PATH", env = "CALLSPAN_EXECUTOR_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// The directory of the tools' Python files [default: the example tools]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_TOOLS")]
    pub(crate) tools: Option<PathBuf>,
    /// The virtual environment whose Python and packages the tools use [default: .venv beside the program]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_VENV")]
    pub(crate) venv: Option<PathBuf>,
    /// Where the callspan package is [default: beside the program]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_PYTHONPATH", hide = true)]
    pub(crate) package: Option<PathBuf>,
    /// How tools are confined; `none` is for those who trust every tool
    #[arg(long, value_enum, default_value = "auto", env = "CALLSPAN_ISOLATION")]
    pub(crate) isolation: Isolation,
    /// Calls that may run at once; more wait
    #[arg(long, value_name = "N", default_value_t = 16, env = "CALLSPAN_MAX_CALLS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) max_calls: u16,
    /// Calls that may wait; more are refused
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) queue: u16,
    /// Longest time of one call
    #[arg(long, value_name = "MS", default_value = "5000", env = "CALLSPAN_WALL_MS", value_parser = milliseconds)]
    pub(crate) wall_ms: Duration,
    /// Most processor time of one call, in whole seconds
    #[arg(long, value_name = "S", default_value_t = 10, env = "CALLSPAN_CPU_S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) cpu_s: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The process that forks the tools' children: started by this program itself
    #[command(hide = true)]
    Zygote {
        venv: PathBuf,
        package: PathBuf,
        scratch: PathBuf,
    },
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms @ 1..=86_400_000) => Ok(Duration::from_millis(ms)),
        _ => Err("give a whole number of milliseconds from 1 to 86400000".to_owned()),
    }
}
