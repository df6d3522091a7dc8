//! A child of a zygote: ties itself to it, takes the descriptors of its call, and confines itself.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use super::{Channel, report, told, work};
use crate::{
    protocol::work::Failure,
    sandbox::{Jail, ablation},
};

/// Where the channel is; what is above is closed.
const CHANNEL_FD: i32 = 3;

/// Never returns: whatever happens, this process ends here.
pub(crate) fn run(fds: Vec<OwnedFd>, jail: &Jail) -> ! {
    let status = match prepare(fds) {
        Ok(channel) => match live(channel, jail) {
            Ok(()) => 0,
            Err(error) => report(&error),
        },
        Err(error) => report(&error),
    };
    // At once, not with the process: what it has to tear down takes longer than the answer may wait.
    // SAFETY: no descriptor is used in this process after this line; no destructor and no exit handler (tool code could
    // have set one) runs.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        libc::_exit(status)
    }
}

/// Ties this process to its zygote, and gives it its own session and the descriptors of its call.
fn prepare(fds: Vec<OwnedFd>) -> io::Result<Channel> {
    // SAFETY: these calls take numbers only.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if !ablation::off("setsid") && libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::umask(0o077);
    }
    unblock_signals()?;
    let [channel, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| io::Error::other(format!("{} descriptors came for a child", fds.len())))?;
    let null = File::open("/dev/null")?;
    // First out of the way, then to their places: a place may still be held by another of them.
    let places = [
        null.as_raw_fd(),
        stdout.as_raw_fd(),
        stderr.as_raw_fd(),
        channel.as_raw_fd(),
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
    std::mem::forget((null, stdout, stderr, channel));
    // SAFETY: dup2 just opened it, and nothing else owns it.
    Ok(Channel::new(unsafe { OwnedFd::from_raw_fd(CHANNEL_FD) }))
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

/// Not before it is confined: the jail's own descriptors are needed for that.
fn close_all_but_the_calls() -> io::Result<()> {
    // SAFETY: what these descriptors belonged to is never used again in this process, which ends by _exit.
    match unsafe { libc::syscall(libc::SYS_close_range, CHANNEL_FD + 1, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Nothing but the first frame is read before it is confined.
fn live(mut channel: Channel, jail: &Jail) -> io::Result<()> {
    let Some(mut warm) = told(&mut channel)? else {
        return Ok(());
    };
    if let Err(what) = jail.confine(&warm.confinement) {
        return channel.fail(&Failure::SandboxSetup(what));
    }
    if !ablation::off("closed descriptors") {
        close_all_but_the_calls()?;
    }
    warm.file = warm.file.map(|file| jail.tool_file(&file));
    work(channel, &warm)
}
