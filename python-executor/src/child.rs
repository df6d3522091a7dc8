//! A child: one task, then the end. It confines itself before any line of a tool file is read.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::{
    interpreter,
    protocol::{Outcome, Task},
    sandbox::Filters,
};

/// Where the result goes; what is above is closed.
const RESULT_FD: i32 = 3;

/// Never returns: whatever happens, this process ends here.
pub(crate) fn run(fds: Vec<OwnedFd>, filters: &Filters) -> ! {
    let status = match prepare(fds) {
        Ok((task, result)) => finish(&task, result, &work(&task, filters)),
        Err(error) => {
            eprintln!("python-executor child: {error}");
            1
        }
    };
    // SAFETY: ends the process at once; no destructor and no exit handler (tool code could have set one) runs.
    unsafe { libc::_exit(status) }
}

/// Ties this process to its zygote, gives it its own session and the descriptors of its call, and reads the task.
fn prepare(fds: Vec<OwnedFd>) -> io::Result<(Task, File)> {
    // SAFETY: these calls take numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::umask(0o077);
    }
    unblock_signals()?;
    let [request, stdout, stderr, result] = <[OwnedFd; 4]>::try_from(fds)
        .map_err(|fds| io::Error::other(format!("{} descriptors came for a call", fds.len())))?;
    let mut text = String::new();
    File::from(request).read_to_string(&mut text)?;
    let task: Task = serde_json::from_str(&text)?;
    let null = File::open("/dev/null")?;
    // First out of the way, then to their places: a place may still be held by another of them.
    let places = [
        null.as_raw_fd(),
        stdout.as_raw_fd(),
        stderr.as_raw_fd(),
        result.as_raw_fd(),
    ];
    let high = places.map(|fd| {
        // SAFETY: duplicates a descriptor that is open.
        unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 16) }
    });
    for (place, fd) in (0..).zip(high) {
        // SAFETY: `fd` was just made; `place` is a number that nothing in this child relies on any more.
        if fd < 0 || unsafe { libc::dup2(fd, place) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    std::mem::forget((null, stdout, stderr, result));
    // SAFETY: what these descriptors belonged to is never used again in this process, which ends by _exit.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, RESULT_FD + 1, u32::MAX, 0) };
    if closed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: dup2 just opened it, and nothing else owns it.
    Ok((task, unsafe { File::from_raw_fd(RESULT_FD) }))
}

/// The zygote waits for SIGCHLD with it blocked; a tool begins with nothing blocked.
fn unblock_signals() -> io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before it is read.
    let done = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn work(task: &Task, filters: &Filters) -> Outcome {
    if let Err(what) = task.confinement.apply(filters) {
        return Outcome::SandboxSetup(what);
    }
    match &task.call {
        None => interpreter::describe(&task.file),
        Some(call) => interpreter::call(&task.file, &call.name, &call.arguments),
    }
}

/// The one result frame: the seal, then JSON, then the end of the file.
fn finish(task: &Task, mut result: File, outcome: &Outcome) -> i32 {
    let written = serde_json::to_vec(outcome)
        .map_err(io::Error::from)
        .and_then(|json| result.write_all(&[task.seal.as_bytes(), json.as_slice()].concat()));
    i32::from(written.is_err())
}
