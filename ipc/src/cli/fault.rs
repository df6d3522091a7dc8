//! What goes wrong at the edge: one line what, one line how to fix it, and an exit status that scripts can rely on.
use std::{io, io::Write as _, path::Path};

use clap::error::ErrorKind;

use super::text;
use crate::{Status, client::ClientError, program::Failure};

/// The request was answered with an error.
pub(crate) const REFUSED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// There is no server to be asked.
pub(crate) const UNREACHABLE: u8 = 3;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Fault {
    what: String,
    /// How to fix it; may be empty.
    how: String,
    pub(crate) code: u8,
}

impl Fault {
    /// The command line is wrong.
    pub(crate) fn usage(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(what, how, USAGE)
    }

    /// Nothing that the command line or the server can be blamed for.
    pub(crate) fn other(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(what, how, REFUSED)
    }

    pub(crate) fn unreachable(what: impl Into<String>, how: impl Into<String>) -> Self {
        Self::new(what, how, UNREACHABLE)
    }

    fn new(what: impl Into<String>, how: impl Into<String>, code: u8) -> Self {
        Self {
            what: what.into(),
            how: how.into(),
            code,
        }
    }

    /// What clap found, in two lines; none for help that was printed because nothing was asked.
    pub(super) fn of_usage(error: &clap::Error) -> Option<Self> {
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return None;
        }
        let failure = Failure::of_command_line(error, "ipc");
        Some(Self::usage(failure.what, failure.fix))
    }

    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        Self::other(
            format!("cannot write to stdout: {error}"),
            "is the disk full?",
        )
    }

    /// An error frame, or what the client says in place of one.
    pub(super) fn of_status(status: &Status) -> Self {
        let mut how = status.hint.clone();
        if status.retry_after_ms > 0 {
            let sep = if how.is_empty() { "" } else { "; " };
            how = format!("{how}{sep}try again in {} ms", status.retry_after_ms);
        }
        Self::new(
            format!("{}: {}", status.code.as_str_name(), status.message),
            how,
            REFUSED,
        )
    }

    /// Why there is no connection: the file is missing, nobody listens, or we may not.
    pub(super) fn of_connect(error: &ClientError, path: &Path) -> Self {
        let shown = path.display();
        let ClientError::Connect { source, .. } = error else {
            return match error {
                ClientError::Closed(status) => Self::of_status(status),
                ClientError::Stuck => Self::other(
                    error.to_string(),
                    "give it more time with --timeout-ms, or restart it",
                ),
                error => Self::unreachable(
                    error.to_string(),
                    "start a server of your own, or name another socket",
                ),
            };
        };
        let (what, how) = why_not(source, path);
        Self::unreachable(format!("cannot connect to {shown}: {what}"), how)
    }

    pub(super) fn report(&self) {
        let (what, how) = (text::escape(&self.what), text::escape(&self.how));
        let how = if how.is_empty() {
            how
        } else {
            format!("  fix: {how}\n")
        };
        // Nobody is left to be told if this fails.
        let _ = write!(io::stderr(), "error: {what}\n{how}");
    }
}

/// Why a connection was refused, in words, and what to do about it.
pub(crate) fn why_not(error: &io::Error, path: &Path) -> (String, &'static str) {
    use std::os::unix::fs::FileTypeExt as _;
    let socket = path
        .metadata()
        .ok()
        .map(|found| found.file_type().is_socket());
    match (error.kind(), socket) {
        (io::ErrorKind::NotFound, _) => (
            "there is no such file".into(),
            "start the server, or check the path",
        ),
        (io::ErrorKind::ConnectionRefused, Some(false)) => {
            ("it is no socket".into(), "name the server's socket")
        }
        (io::ErrorKind::ConnectionRefused, _) => (
            "the socket is stale: nobody listens on it".into(),
            "start the server again; it replaces the file",
        ),
        (io::ErrorKind::PermissionDenied, _) => (
            "permission denied".into(),
            "run as the user that runs the server; its socket is for that user alone",
        ),
        (io::ErrorKind::TimedOut, _) => (
            "the server does not accept connections".into(),
            "it hangs or is flooded: look at its log, or restart it",
        ),
        (io::ErrorKind::InvalidInput, _) => (
            "the path is too long for a socket".into(),
            "choose a shorter one",
        ),
        _ => (error.to_string(), "check the path and the server"),
    }
}
