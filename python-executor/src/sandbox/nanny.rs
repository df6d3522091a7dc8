//! The process that stays behind when its child becomes the first of the jail's processes. The supervisor knows only
//! this one: it ends when the zygote ends, and the zygote ends with it, or when the supervisor is gone. An MCP server has
//! one, too; where it has no namespaces with which the kernel ends what it started, its nanny does.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, pidfd_send_signal,
        set_child_subreaper, wait, waitpid,
    },
};

use super::{namespaces::Identity, privileges};

/// Does nothing else until the zygote is gone. The status is the zygote's, or what a shell would make of its signal.
pub(super) fn watch(zygote: Pid, lifeline: BorrowedFd<'_>, identity: Option<Identity>) -> ! {
    let status = match prepare(zygote, lifeline, identity) {
        Ok((process, lifeline)) => {
            let status = watch_over(zygote, &process, lifeline);
            if identity.is_none() {
                sweep();
            }
            status
        }
        Err(error) => {
            eprintln!("python-executor: a process cannot be watched: {error}");
            1
        }
    };
    // SAFETY: ends the process at once. The zygote is gone, or is killed by the kernel as this process ends.
    unsafe { libc::_exit(status) }
}

/// Keeps only what it takes to wait and to kill.
fn prepare(
    zygote: Pid,
    lifeline: BorrowedFd<'_>,
    identity: Option<Identity>,
) -> std::io::Result<(OwnedFd, BorrowedFd<'_>)> {
    let process = pidfd_open(zygote, PidfdFlags::empty())?;
    match identity {
        Some(identity) => identity.assume()?,
        // What its children leave behind becomes its own.
        None => set_child_subreaper(Some(getpid()))?,
    }
    privileges::drop_all(false)?;
    let keep = [process.as_raw_fd(), lifeline.as_raw_fd()];
    let (low, high) = (keep[0].min(keep[1]), keep[0].max(keep[1]));
    for (first, last) in [(3, low - 1), (low + 1, high - 1), (high + 1, i32::MAX)] {
        if first <= last {
            // SAFETY: what these descriptors belonged to is never used again in this process, which ends by _exit.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
    Ok((process, lifeline))
}

/// Kills what is left of what the child had started, until nothing is.
fn sweep() {
    loop {
        let left = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        let pids = left.split_whitespace().filter_map(|pid| pid.parse().ok());
        for pid in pids.filter_map(Pid::from_raw) {
            // It is our child, so that its number is its own until it is waited for.
            let _ = kill_process(pid, Signal::KILL);
        }
        if wait(WaitOptions::empty()).is_err() {
            return;
        }
    }
}

fn watch_over(zygote: Pid, process: &OwnedFd, lifeline: BorrowedFd<'_>) -> i32 {
    loop {
        // Of the lifeline only its end is waited for, which needs no flag.
        let mut both = [
            PollFd::from_borrowed_fd(lifeline, PollFlags::empty()),
            PollFd::new(process, PollFlags::IN),
        ];
        let polled = poll(&mut both, None);
        let [supervisor, _] = &both;
        if polled.is_ok() && !supervisor.revents().is_empty() {
            // It fails only if the zygote is gone already.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        let patience = if supervisor.revents().is_empty() {
            WaitOptions::NOHANG
        } else {
            WaitOptions::empty()
        };
        match waitpid(Some(zygote), patience) {
            Ok(Some((_, status))) => {
                let signal = status.terminating_signal().map(|signal| 128 + signal);
                return status.exit_status().or(signal).unwrap_or(1);
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 1,
        }
    }
}
