//! A worker: this program started anew for one child, where there are no zygotes. It starts Python by itself, bounds
//! itself, and is then a child like any other; what confines it was done before it began.
//!
//! It must not outlive its supervisor, which no kernel but Linux's sees to: so a thread of its own waits for the end of a
//! pipe that only the supervisor holds, whatever a tool does meanwhile.

use std::{
    io::{self, Read as _, Write as _},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    child::{self, Channel},
    interpreter,
    protocol::work::{Failure, Warm},
};

/// What one that is only tried prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Trial {
    Started,
    Failed { what: String, fix: String },
}

/// Starts Python, tells how that went, and ends.
pub(crate) fn trial(venv: &Path, package: &Path, preload: &[String]) -> io::Result<()> {
    let told = match interpreter::start(venv, package, preload) {
        Ok(_) => Trial::Started,
        Err(no) => Trial::Failed {
            what: no.what,
            fix: no.fix,
        },
    };
    serde_json::to_writer(io::stdout(), &told)?;
    io::stdout().flush()
}

/// The process's main function. Its standard input is the channel. Never returns: whatever happens, this process ends
/// here.
pub(crate) fn main(venv: &Path, package: &Path, preload: &[String]) -> ! {
    let status = match live(venv, package, preload) {
        Ok(()) => 0,
        Err(error) => child::report(&error),
    };
    end(status)
}

fn end(status: i32) -> ! {
    // SAFETY: ends the process at once; no exit handler (tool code could have set one) runs.
    unsafe { libc::_exit(status) }
}

fn live(venv: &Path, package: &Path, preload: &[String]) -> io::Result<()> {
    // A group of its own, in the supervisor's session: one that is stopped when that is killed is ended by the kernel. Not so
    // one that was told to stop a moment before and has not done it yet, or that is taken in by a process of this very session,
    // such as a container's first: it stays, stopped, until somebody kills it.
    rustix::process::setpgid(None, None)?;
    let stdin = child::take_stdin()?;
    close_all_but(stdin.as_raw_fd())?;
    let mut channel = Channel::new(stdin);
    let Some(warm) = child::told(&mut channel)? else {
        return Ok(());
    };
    let lifeline = channel.passed();
    hang_on(lifeline.ok_or_else(|| io::Error::other("no lifeline came"))?)?;
    if let Err(no) = interpreter::start(venv, package, preload) {
        return Err(io::Error::other(format!("{}; fix: {}", no.what, no.fix)));
    }
    match bound(&warm) {
        Ok(()) => child::work(channel, &warm),
        Err(error) => {
            let what = format!("resource limits: {error}");
            channel.fail(&Failure::SandboxSetup(what))
        }
    }
}

/// Ends this process, and all of its group, when the other end is gone.
fn hang_on(lifeline: OwnedFd) -> io::Result<()> {
    let wait = move || {
        let mut lifeline = std::fs::File::from(lifeline);
        // Nothing is ever written to it.
        while let Err(error) = lifeline.read(&mut [0; 1])
            && error.kind() == io::ErrorKind::Interrupted
        {}
        // SAFETY: sends a signal to the own group, in which only this process and what it started can be.
        unsafe { libc::kill(0, libc::SIGKILL) };
        end(1)
    };
    std::thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(wait)?;
    Ok(())
}

/// What Python took to start is not the tool's.
fn bound(warm: &Warm) -> io::Result<()> {
    // SAFETY: takes a number only.
    unsafe { libc::umask(0o077) };
    std::env::set_current_dir(&warm.confinement.scratch)?;
    // SAFETY: the pointer is to a local that lives through the call; a zeroed rusage is a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) != 0 {
            return Err(io::Error::last_os_error());
        }
        usage
    };
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    let used = Duration::from_secs(seconds as u64 + 1);
    warm.confinement.limits.apply_anywhere(used)
}

/// Whatever else came along, such as what was opened while this process was started.
fn close_all_but(kept: i32) -> io::Result<()> {
    let mut open: Vec<i32> = Vec::new();
    for entry in std::fs::read_dir("/dev/fd")? {
        let name = entry?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for fd in open.into_iter().filter(|fd| *fd > 2 && *fd != kept) {
        // SAFETY: nothing in this process has it; the list's own is closed already, which is an error that does not matter.
        unsafe { libc::close(fd) };
    }
    Ok(())
}
