//! The `rust-inference` program: reads the command line, loads the model, serves, and reports what went wrong.

mod cli;
mod commands;

use std::{num::NonZero, process::ExitCode, sync::Arc, thread::available_parallelism};

use clap::Parser;
use ipc::listen::{Listener, default_socket};
use rust_inference::{
    embedded,
    model::{Model, ModelFiles},
    service::Inference,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What went wrong, what to do about it, and the exit status: 2 for a wrong command line, 1 for the rest.
#[derive(Debug)]
struct Failure {
    what: String,
    fix: String,
    status: u8,
}

impl Failure {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it reads best with the error itself"
    )]
    fn usage(what: impl ToString, fix: impl Into<String>) -> Self {
        Self {
            what: what.to_string(),
            fix: fix.into(),
            status: 2,
        }
    }

    fn new(what: impl ToString, fix: impl Into<String>) -> Self {
        Self {
            status: 1,
            ..Self::usage(what, fix)
        }
    }
}

fn main() -> ExitCode {
    let result = command_line().and_then(|cli| match cli.command {
        Some(cli::Command::Render { input }) => commands::render(&input),
        Some(cli::Command::Parse { tools }) => commands::parse(&tools),
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
            tip.unwrap_or_else(|| "see rust-inference --help".to_owned()),
        )
    })
}

fn serve(args: cli::Serve) -> Result<(), Failure> {
    let socket = match args.socket {
        Some(path) => path,
        None => default_socket("inference")
            .map_err(|error| Failure::usage(error, "give --socket PATH"))?,
    };
    let threads = args
        .threads
        .unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("compute-{i}"))
        .build_global()
        .map_err(|error| {
            Failure::new(
                format!("cannot start {threads} threads: {error}"),
                "give a smaller --threads",
            )
        })?;
    let model = match &args.model {
        Some(dir) => ModelFiles::open(dir).and_then(|files| Model::load(&files)).map_err(|error| {
            Failure::usage(
                format!("cannot load the model {}: {error}", dir.display()),
                "give --model a directory with config.json, tokenizer.json and *.safetensors of a Gemma 3 text model, or leave it out",
            )
        })?,
        None => embedded::model().map_err(|error| Failure::new(error, "rebuild: the model built in is damaged"))?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}"), ""))?;
    runtime.block_on(async {
        let name = model.name.clone();
        let service = Inference::start(Arc::new(model), args.queue, threads, args.max_tokens)
            .map_err(|error| {
                Failure::new(format!("cannot start the model's thread: {error}"), "")
            })?;
        let listener = Listener::bind(&socket).map_err(|error| {
            Failure::new(error, "choose another --socket, or stop what is using it")
        })?;
        let shutdown = shutdown_on_signals().map_err(|error| Failure::new(error, ""))?;
        eprintln!(
            "rust-inference: serving {name} on {0}; try: cargo run -p ipc -- health {0}",
            socket.display()
        );
        ipc::server::serve(listener, Inference::info(), Arc::new(service), shutdown)
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
