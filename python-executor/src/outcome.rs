//! How a call ended, in the protocol's words.

use ipc::proto::ToolError;

use crate::{
    call::{End, Finished},
    protocol::work::Failure,
    sandbox::Limits,
};

/// The outcome, the result, and what went wrong.
pub(crate) fn words(
    finished: &Finished,
    limits: &Limits,
) -> (&'static str, String, Option<ToolError>) {
    if let End::Result(result) = &finished.end {
        return ("ok", result.clone(), None);
    }
    let (outcome, kind, message, traceback) = failure(finished, limits);
    let error = ToolError {
        r#type: if kind.is_empty() {
            outcome.to_owned()
        } else {
            kind
        },
        message,
        traceback,
    };
    (outcome, String::new(), Some(error))
}

fn failure(finished: &Finished, limits: &Limits) -> (&'static str, String, String, String) {
    let plain = |outcome, message: String| (outcome, String::new(), message, String::new());
    match &finished.end {
        End::Result(_) => plain("ok", String::new()),
        End::Failure(Failure::Exception {
            kind,
            message,
            traceback,
        }) => {
            let outcome = match kind.as_str() {
                "MemoryError" => "memory",
                "SystemExit" => "exited",
                _ => "exception",
            };
            let message = if outcome == "memory" && message.is_empty() {
                format!("the tool used more than {} of memory", mib(limits.memory))
            } else {
                message.clone()
            };
            (outcome, kind.clone(), message, traceback.clone())
        }
        End::Failure(Failure::BadResult(message)) => plain("bad_result", message.clone()),
        End::Failure(Failure::SandboxSetup(what)) => plain(
            "sandbox_setup",
            format!("the tool was not run, because it could not be confined: {what}"),
        ),
        End::TimedOut => plain(
            "timeout",
            format!("the tool was stopped after {:.2?}", finished.wall),
        ),
        End::Cancelled => plain("cancelled", "the call was cancelled".to_owned()),
        End::ZygoteLost => plain(
            "zygote_lost",
            "the process that runs tools was lost".to_owned(),
        ),
        End::Protocol(message) => plain("protocol", message.clone()),
        End::Died(_) if finished.out_of_memory => plain(
            "memory",
            format!(
                "the tool and the files that it wrote took more than {} of memory",
                mib(limits.memory + limits.scratch)
            ),
        ),
        End::Died(status) => died(*status, finished.child_cpu_us, limits),
    }
}

/// What two ways of counting processor time may differ by.
const TICKS_US: u128 = 100_000;

pub(crate) fn died(
    status: i32,
    cpu_us: u64,
    limits: &Limits,
) -> (&'static str, String, String, String) {
    let (outcome, message) = if libc::WIFSIGNALED(status) {
        match libc::WTERMSIG(status) {
            libc::SIGSYS => (
                "syscall_killed",
                "the tool used a forbidden system call".to_owned(),
            ),
            libc::SIGXCPU => (
                "cpu_limit",
                format!("the tool used more than {:?} of processor time", limits.cpu),
            ),
            // The kernel counts by its ticks when it kills, and exactly when it tells.
            libc::SIGKILL if u128::from(cpu_us) + TICKS_US >= limits.cpu.as_micros() => (
                "cpu_limit",
                format!("the tool used more than {:?} of processor time", limits.cpu),
            ),
            libc::SIGXFSZ => (
                "crashed",
                format!("the tool wrote a file of more than {}", mib(limits.scratch)),
            ),
            signal => ("crashed", format!("the tool was ended by signal {signal}")),
        }
    } else {
        let code = libc::WEXITSTATUS(status);
        (
            "exited",
            format!("the tool exited with status {code} and gave no result"),
        )
    };
    (outcome, String::new(), message, String::new())
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::words;
    use crate::{
        call::{End, Finished},
        policy::Policy,
        sandbox::Limits,
    };

    #[test]
    fn a_group_that_ran_out_of_memory_is_told_from_a_mere_kill() {
        let outcome = |out_of_memory| {
            let finished = Finished {
                end: End::Died(libc::SIGKILL),
                stdout: String::new(),
                stderr: String::new(),
                truncated: false,
                artefacts: Vec::new(),
                wall: Duration::ZERO,
                out_of_memory,
                used: None,
                child_cpu_us: 0,
                stuck: false,
            };
            let (outcome, _, error) = words(&finished, &Limits::of(&Policy::default()));
            (outcome, error.unwrap().message)
        };
        let message = "the tool and the files that it wrote took more than 576 MiB of memory";
        assert_eq!(outcome(true), ("memory", message.to_owned()));
        assert_eq!(outcome(false).0, "crashed");
    }
}
