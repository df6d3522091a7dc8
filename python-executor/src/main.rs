//! The `python-executor` program: reads the command line, starts the zygote, describes the tools, serves, and reports
//! what went wrong.

mod call;
mod catalogue;
mod child;
mod cli;
mod interpreter;
mod outcome;
mod paths;
mod places;
mod protocol;
mod sandbox;
mod service;
mod supervisor;
mod zygote;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use ipc::listen::{Listener, default_socket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    call::Executor,
    catalogue::Catalogue,
    interpreter::NoInterpreter,
    places::Places,
    sandbox::{Isolation, Limits},
    service::Tooling,
    supervisor::Supervisor,
};

/// What went wrong, what to do about it, and the exit status: 2 for a wrong command line, 1 for the rest.
#[derive(Debug)]
struct Failure {
    what: String,
    fix: String,
    status: u8,
}

impl Failure {
    fn new(what: impl std::fmt::Display, fix: impl Into<String>) -> Self {
        Self {
            what: what.to_string(),
            fix: fix.into(),
            status: 1,
        }
    }

    fn usage(what: impl std::fmt::Display, fix: impl Into<String>) -> Self {
        Self {
            status: 2,
            ..Self::new(what, fix)
        }
    }
}

impl From<NoInterpreter> for Failure {
    fn from(error: NoInterpreter) -> Self {
        Self::usage(error.what, error.fix)
    }
}

fn main() -> ExitCode {
    let result = command_line().and_then(|cli| match cli.command {
        Some(cli::Command::Zygote { venv, package }) => zygote::main(&venv, &package)
            .map_err(|error| Failure::new(format!("zygote: {error}"), "")),
        None => serve(cli.serve),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.what);
            if !failure.fix.is_empty() {
                eprintln!("fix: {}", failure.fix);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// What was asked for. A mistake is one line, and what to do about it another: clap's tip, or where the help is.
fn command_line() -> Result<cli::Cli, Failure> {
    cli::Cli::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit(); // help or the version: not a mistake
        }
        let text = error.to_string();
        let mut paragraphs = text
            .split("\n\n")
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().unwrap_or_default();
        let tip = paragraphs.find_map(|part| part.strip_prefix("tip: ").map(str::to_owned));
        Failure::usage(
            what.trim_start_matches("error: "),
            tip.unwrap_or_else(|| "see python-executor --help".to_owned()),
        )
    })
}

fn serve(args: cli::Serve) -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        return Err(Failure::new(
            "tools can only be confined on Linux",
            "run python-executor on Linux",
        ));
    }
    let missing = sandbox::missing();
    if args.isolation != Isolation::None && !missing.is_empty() {
        return Err(Failure::new(
            format!(
                "tools cannot be confined here; missing: {}",
                missing.join("; ")
            ),
            "use a kernel that has it, or, if you trust every tool, say --isolation none",
        ));
    }
    let socket = match args.socket {
        Some(path) => path,
        None => default_socket("executor")
            .map_err(|error| Failure::usage(error, "give --socket PATH"))?,
    };
    let tools = paths::tools(args.tools).ok_or_else(|| {
        Failure::usage(
            "no tools directory was found",
            "give --tools DIR, a directory of Python files",
        )
    })?;
    let tools = tools
        .canonicalize()
        .ok()
        .filter(|path| path.is_dir())
        .ok_or_else(|| {
            let what = format!("the tools directory {} does not exist", tools.display());
            Failure::usage(what, "give --tools DIR, a directory of Python files")
        })?;
    let venv = paths::venv(args.venv).ok_or_else(|| {
        Failure::usage(
            "no virtual environment was found",
            "make it by: make setup, or give --venv DIR",
        )
    })?;
    let venv =
        std::path::absolute(&venv).map_err(|error| Failure::usage(error, "give --venv DIR"))?;
    let package = paths::package(args.package).ok_or_else(|| {
        Failure::usage(
            "the callspan Python package was not found",
            "set CALLSPAN_PYTHONPATH to its directory",
        )
    })?;
    let limits = Limits {
        wall: args.wall_ms,
        cpu: std::time::Duration::from_secs(args.cpu_s),
        ..Limits::default()
    };
    let executor = Executor {
        readable: paths::readable(&venv, &package, &tools),
        supervisor: Arc::new(Supervisor::start(venv, package)?),
        isolation: args.isolation,
        limits,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}"), ""))?;
    runtime.block_on(async {
        let listener = Listener::bind(&socket).map_err(|error| {
            Failure::new(error, "choose another --socket, or stop what is using it")
        })?;
        let catalogue = Catalogue::load(&executor, &tools).await.map_err(|error| {
            Failure::usage(
                format!("{}: {error}", tools.display()),
                "give another --tools DIR",
            )
        })?;
        for problem in &catalogue.problems {
            eprintln!(
                "python-executor: {} is not used: {}",
                problem.file, problem.message
            );
        }
        let shutdown = shutdown_on_signals().map_err(|error| Failure::new(error, ""))?;
        eprintln!(
            "python-executor: {} tools of {} on {}, isolation {}",
            catalogue.tools().len(),
            tools.display(),
            socket.display(),
            sandbox::report(args.isolation).level,
        );
        let service = Tooling {
            executor,
            catalogue,
            places: Places::new(args.max_calls.into(), args.queue.into()),
        };
        ipc::server::serve(listener, service::info(), Arc::new(service), shutdown)
            .await
            .map_err(|error| Failure::new(error, ""))
    })
}

/// Fires on SIGTERM and SIGINT.
fn shutdown_on_signals() -> std::io::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, shutdown) = (signal(kind)?, shutdown.clone());
        tokio::spawn(async move {
            signals.recv().await;
            shutdown.cancel();
        });
    }
    Ok(shutdown)
}
