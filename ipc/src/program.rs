//! What every program of the workspace does at its edge: read the command line, end on signals, and say what went
//! wrong in one line and how to fix it in another.

use std::{io, process::ExitCode};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What went wrong, what to do about it, and the exit status: 2 for a wrong command line, 1 for the rest.
#[derive(Debug)]
pub struct Failure {
    pub what: String,
    /// Empty if there is nothing to do about it.
    pub fix: String,
    pub status: u8,
}

impl Failure {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it reads best with the error itself"
    )]
    pub fn new(what: impl ToString, fix: impl Into<String>) -> Self {
        Self {
            what: what.to_string(),
            fix: fix.into(),
            status: 1,
        }
    }

    pub fn usage(what: impl ToString, fix: impl Into<String>) -> Self {
        Self {
            status: 2,
            ..Self::new(what, fix)
        }
    }

    /// What clap found: its first paragraph, and its tip or where the help of `program` is.
    #[must_use]
    pub fn of_command_line(error: &clap::Error, program: &str) -> Self {
        let text = error.render().to_string();
        let mut paragraphs = text
            .split("\n\n")
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().unwrap_or_default();
        let help = format!("see {program} --help");
        let tip = paragraphs.find_map(|part| part.strip_prefix("tip: ").map(str::to_owned));
        Self::usage(
            what.trim_start_matches("error: "),
            tip.map_or(help.clone(), |tip| format!("{tip} ({help})")),
        )
    }
}

/// What was asked for on the command line.
///
/// # Errors
/// If it is none that the program takes. Help and the version are printed here, and end the program.
pub fn command_line<C: Parser>() -> Result<C, Failure> {
    C::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        Failure::of_command_line(&error, C::command().get_name())
    })
}

/// Says on stderr what went wrong, if anything did.
#[expect(clippy::print_stderr, reason = "the one place where a program reports")]
pub fn report(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {}", failure.what);
    if !failure.fix.is_empty() {
        eprintln!("fix: {}", failure.fix);
    }
    ExitCode::from(failure.status)
}

/// Fires on SIGTERM and SIGINT.
///
/// # Errors
/// If the system will not tell of them.
pub fn shutdown_on_signals() -> io::Result<CancellationToken> {
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
