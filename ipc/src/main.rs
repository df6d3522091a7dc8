//! `ipc` by hand: watch a socket (`tap`), ask a server one thing (`call`), see how it is (`health`).
use std::process::ExitCode;

fn main() -> ExitCode {
    ipc::cli::run()
}
