//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{mount, sandbox::Isolation};

/// Runs Python tools, each call in a confined process of its own, over a Unix domain socket.
#[derive(Debug, Parser)]
#[command(
    name = "python-executor",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Serve {
    /// Where to listen [default: `$XDG_RUNTIME_DIR/callspan/executor.sock`]
    #[arg(long, value_name = "PATH", env = "CALLSPAN_EXECUTOR_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Speak MCP on standard input and output, and listen nowhere
    #[arg(long, conflicts_with = "socket")]
    pub(crate) mcp: bool,
    /// Mount an MCP server, whose tools are then called `NAME__TOOL`: NAME=command argument … (can be repeated)
    #[arg(long, value_name = "NAME=COMMAND", value_parser = mount::flag)]
    pub(crate) mcp_server: Vec<mount::Spec>,
    /// Mount the MCP servers of a file as other clients have it: {"mcpServers": {"NAME": {"command": …, "args": […]}}}
    #[arg(long, value_name = "FILE")]
    pub(crate) mcp_config: Option<PathBuf>,
    /// The directory of the tools' Python files [default: the example tools]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_TOOLS")]
    pub(crate) tools: Option<PathBuf>,
    /// The virtual environment whose Python and packages the tools use [default: .venv beside the program]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_VENV")]
    pub(crate) venv: Option<PathBuf>,
    /// Where the callspan package is [default: beside the program]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_PYTHONPATH", hide = true)]
    pub(crate) package: Option<PathBuf>,
    /// How tools are confined: auto takes the best of full and reduced, none is for those who trust every tool
    #[arg(long, value_enum, default_value = "auto", env = "CALLSPAN_ISOLATION")]
    pub(crate) isolation: Isolation,
    /// Calls that may run at once; more wait
    #[arg(long, value_name = "N", default_value_t = 16, env = "CALLSPAN_MAX_CALLS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) max_calls: u16,
    /// Calls that may wait; more are refused
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) queue: u16,
    /// Modules that are imported once for all calls, such as numpy,pandas; their hooks for forks are not run
    #[arg(long, value_name = "MODULES", value_delimiter = ',', env = "CALLSPAN_PRELOAD", value_parser = module)]
    pub(crate) preload: Vec<String>,
    /// Children that wait for calls of each tool file, made ahead
    #[arg(long, value_name = "N", default_value_t = 2, env = "CALLSPAN_SPARES", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) spares: u16,
    /// Children that wait for calls of any tool file
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub(crate) max_spares: u16,
    /// Sessions of snippets that may be open at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub(crate) sessions: u16,
    /// Processes that make children; each makes one at a time. By default half as many as there are processors, 2 to 4
    #[arg(long, value_name = "N", default_value_t = zygotes(), hide_default_value = true, env = "CALLSPAN_ZYGOTES", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) zygotes: u16,
    /// Longest time of one call, which no policy can raise [default: what the policy file says, or 5000]
    #[arg(long, value_name = "MS", env = "CALLSPAN_WALL_MS", value_parser = milliseconds)]
    pub(crate) wall_ms: Option<u64>,
    /// Most processor time of one call, in whole seconds, which no policy can raise [default: what the policy file says,
    /// or 10]
    #[arg(long, value_name = "S", env = "CALLSPAN_CPU_S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) cpu_s: Option<u64>,
    /// What tools may use and reach: a TOML file
    #[arg(long, value_name = "FILE", env = "CALLSPAN_POLICY")]
    pub(crate) policy: Option<PathBuf>,
    /// The control group (a directory of cgroup v2) that was delegated to this program [default: its own, if it can be used]
    #[arg(long, value_name = "DIR", env = "CALLSPAN_CGROUP")]
    pub(crate) cgroup: Option<PathBuf>,
    /// Give tools the files, addresses and variables that they declare, where the policy file says nothing of them
    #[arg(long)]
    pub(crate) grant_declared: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Loads the tools of a directory as a server would, and says what is wrong with them: exit status 0 if nothing is, else 1
    Check {
        /// The directory of the tools' Python files
        dir: PathBuf,
        #[command(flatten)]
        serve: Box<Serve>,
    },
    /// Tells what protects this machine from tools, as a tool finds it: exit status 0 if that is all there is, else 1
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        serve: Box<Serve>,
    },
    /// The process of one call, where each is started anew: started by this program itself
    #[cfg(not(zygotes))]
    #[command(hide = true)]
    Worker(Worker),
    /// What becomes an MCP server, when it is confined: started by this program itself
    #[cfg(zygotes)]
    #[command(hide = true)]
    Server,
    /// The process that forks the tools' children: started by this program itself
    #[cfg(zygotes)]
    #[command(hide = true)]
    Zygote {
        /// JSON
        plan: String,
    },
}

#[cfg(not(zygotes))]
#[derive(Args, Debug)]
pub(crate) struct Worker {
    #[arg(long)]
    pub(crate) venv: PathBuf,
    #[arg(long)]
    pub(crate) package: PathBuf,
    #[arg(long)]
    pub(crate) preload: Vec<String>,
    /// Start Python, tell how that went, and end
    #[arg(long)]
    pub(crate) trial: bool,
}

/// A module's name, as Python writes it.
fn module(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if text.split('.').all(part) {
        Ok(text.to_owned())
    } else {
        Err("give names of modules, with commas between them: numpy,pandas".to_owned())
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(ms @ 1..=86_400_000) => Ok(ms),
        _ => Err("give a whole number of milliseconds from 1 to 86400000".to_owned()),
    }
}

/// While one waits for a processor to fork on, another has one.
fn zygotes() -> u16 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(processors / 2)
        .unwrap_or(u16::MAX)
        .clamp(2, 4)
}
