//! `python-executor`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    python_executor::run()
}
