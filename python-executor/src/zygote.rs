//! The zygote: a process with one thread and a started Python, which forks children and tells how they ended. It
//! never runs a line of a tool file.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::{
    child, interpreter,
    protocol::{
        Ended,
        control::{Order, Report, receive, report},
    },
    sandbox::{self, Jail, Level, NoJail, Plan},
};

/// The process's main function. Its standard input is the socket to the supervisor; at its end this process ends, its
/// children with it, and what they had in their scratch directories is gone.
pub(crate) fn main(plan: &str) -> io::Result<()> {
    let control = child::take_stdin()?;
    let plan: Plan = serde_json::from_str(plan)?;
    let mut jail = match sandbox::enter(&plan, control.as_fd()) {
        Ok(jail) => jail,
        Err(NoJail::Unavailable(lacks)) => {
            return report(&control, &Report::Unavailable(lacks), &[]);
        }
        Err(NoJail::Unreadable(no)) => return fail(&control, no.what, &no.fix),
    };
    let python =
        match interpreter::start(&jail.inside().venv, &jail.inside().package, &plan.preload) {
            Ok(version) => version,
            Err(error) => return fail(&control, error.what, &error.fix),
        };
    let threads = jail.threads()?;
    if threads != 1 {
        let what =
            format!("{threads} threads run before any tool does, which makes forking unsafe");
        return fail(&control, what, "preload nothing that starts threads");
    }
    let signals = child_signals()?;
    if let Err(what) = jail.close() {
        return fail(&control, what, "");
    }
    let limits_threads = jail.limits_threads();
    let ready = Report::Ready {
        python,
        limits_threads,
    };
    report(&control, &ready, &[])?;
    let mut children: HashMap<libc::pid_t, u64> = HashMap::new();
    let served = serve(&control, &signals, &jail, &mut children);
    for pid in children.keys() {
        // SAFETY: sends a signal, to children that were not waited for, so that their numbers are still their own.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
        end_session(*pid);
    }
    while !children.is_empty() {
        // SAFETY: asks for nothing but the number of a child that ended.
        let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
        if pid <= 0 {
            break;
        }
        children.remove(&pid);
    }
    if plan.level != Level::Full {
        // The supervisor does this itself, unless it was killed.
        match std::fs::remove_dir_all(&plan.scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match served {
        // Nobody is there to be told of a child's end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        served => served,
    }
}

/// Forks when it is told to and tells how children ended, until the supervisor is gone.
fn serve(
    control: &OwnedFd,
    signals: &OwnedFd,
    jail: &Jail,
    children: &mut HashMap<libc::pid_t, u64>,
) -> io::Result<()> {
    loop {
        let (orders, ended) = wait_for_either(control, signals)?;
        if ended {
            drain(signals);
            reap(control, children)?;
        }
        if !orders {
            continue;
        }
        match receive::<Order>(control)? {
            None => return Ok(()),
            Some((Order::Start { id }, fds)) => {
                match jail.before_fork().and_then(|()| interpreter::fork()) {
                    Ok(0) => child::run(fds, jail),
                    Ok(pid) => {
                        children.insert(pid, id);
                        started(control, id, pid)?;
                    }
                    Err(error) => {
                        let why = format!("fork: {error}");
                        report(control, &Report::NotStarted { id, why }, &[])?;
                    }
                }
            }
        }
    }
}

fn fail(control: &OwnedFd, what: String, fix: &str) -> io::Result<()> {
    let fix = fix.to_owned();
    report(control, &Report::Failed { what, fix }, &[])
}

/// A descriptor that is readable when a child ended.
fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read; signalfd gives a descriptor of our own.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            fd if fd < 0 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

fn wait_for_either(control: &OwnedFd, signals: &OwnedFd) -> io::Result<(bool, bool)> {
    let wait = |fd: &OwnedFd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut both = [wait(control), wait(signals)];
    loop {
        // SAFETY: the array lives through the call, and its length is given.
        let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
        match io::Error::last_os_error() {
            _ if ready > 0 => {
                let [control, signals] = both;
                return Ok((control.revents != 0, signals.revents != 0));
            }
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

fn drain(signals: &OwnedFd) {
    let mut info = [0u8; 1024];
    // SAFETY: reads at most the buffer's length; the descriptor does not block.
    while unsafe { libc::read(signals.as_raw_fd(), info.as_mut_ptr().cast(), info.len()) } > 0 {}
}

/// Hands the supervisor a handle of the child's process, with which it can kill it without us.
fn started(control: &OwnedFd, id: u64, pid: libc::pid_t) -> io::Result<()> {
    let handle = Pid::from_raw(pid)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
        .and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
    match handle {
        Ok(handle) => report(control, &Report::Started { id }, &[handle]),
        Err(error) => {
            // SAFETY: sends a signal, to a child of ours that was not waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            let why = format!("no handle of the child: {error}");
            report(control, &Report::NotStarted { id, why }, &[])
        }
    }
}

/// Tells of every child that ended.
fn reap(control: &OwnedFd, children: &mut HashMap<libc::pid_t, u64>) -> io::Result<()> {
    while let Some(pid) = ended() {
        // Before it is waited for: until then nobody else can have its number.
        end_session(pid);
        let mut status = 0;
        // SAFETY: both pointers are to locals; a zeroed rusage is a valid one.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage);
            usage
        };
        let Some(id) = children.remove(&pid) else {
            continue;
        };
        let ended = Ended::of(status, &usage);
        report(control, &Report::Ended { id, ended }, &[])?;
    }
    Ok(())
}

/// A child that ended and was not waited for.
fn ended() -> Option<libc::pid_t> {
    // SAFETY: a zeroed siginfo is a valid one; the call fills it in, and with WNOHANG leaves the pid 0 if there is none.
    let (done, pid) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let done = libc::waitid(libc::P_ALL, 0, &raw mut info, flags);
        (done, info.si_pid())
    };
    (done == 0 && pid > 0).then_some(pid)
}

/// Kills what a child has left behind in its session: with isolation none it can have started others.
fn end_session(pid: libc::pid_t) {
    // SAFETY: sends a signal to a group that only this child and what it started can be in.
    unsafe { libc::kill(-pid, libc::SIGKILL) };
}
