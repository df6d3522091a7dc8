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
mod policy;
mod protocol;
mod sandbox;
mod service;
mod supervisor;
mod zygote;

use std::{process::ExitCode, sync::Arc};

use ipc::{
    listen::{Listener, default_socket},
    program::{Failure, command_line, report, shutdown_on_signals},
};

use crate::{
    call::Executor, catalogue::Catalogue, places::Places, policy::Deployment, sandbox::Isolation,
    service::Tooling, supervisor::Supervisor,
};

fn main() -> ExitCode {
    let result = command_line::<cli::Cli>().and_then(|cli| match cli.command {
        Some(cli::Command::Zygote {
            venv,
            package,
            scratch,
        }) => zygote::main(&venv, &package, &scratch)
            .map_err(|error| Failure::new(format!("zygote: {error}"), "")),
        None => serve(cli.serve),
    });
    report(result)
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
    let deployment = deployment(&args)?;
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
            let what = if tools.exists() {
                format!("{} is not a directory", tools.display())
            } else {
                format!("the tools directory {} does not exist", tools.display())
            };
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
    let scratch = tempfile::Builder::new()
        .prefix("callspan-scratch-")
        .tempdir()
        .map_err(|error| {
            Failure::usage(
                format!("no scratch directory can be made: {error}"),
                "set TMPDIR to a directory that can be written to",
            )
        })?;
    let executor = Executor {
        readable: paths::readable(&venv, &package, &tools),
        supervisor: Arc::new(
            Supervisor::start(venv, package, scratch.path().to_owned())
                .map_err(|no| Failure::usage(no.what, no.fix))?,
        ),
        isolation: args.isolation,
        scratch,
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
        let shutdown = shutdown_on_signals().map_err(|error| Failure::new(error, ""))?;
        let loaded = tokio::select! {
            loaded = Catalogue::load(&executor, deployment, &tools) => loaded,
            () = shutdown.cancelled() => return Ok(()),
        };
        let catalogue = loaded.map_err(|error| {
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
        for note in &catalogue.notes {
            eprintln!("python-executor: {note}");
        }
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

/// What is allowed here: by the policy file, and by flags.
fn deployment(args: &cli::Serve) -> Result<Deployment, Failure> {
    let mut deployment = match &args.policy {
        Some(path) => Deployment::load(path)
            .map_err(|error| Failure::usage(error, "correct the policy file"))?,
        None => Deployment::default(),
    };
    deployment.grant_declared |= args.grant_declared;
    deployment.wall_ms = args.wall_ms;
    deployment.cpu_s = args.cpu_s;
    Ok(deployment)
}
