//! A child: made for one file of tools or for snippets, then used once, then gone. It confines itself before any line of
//! a tool file is read.

mod channel;
#[cfg(zygotes)]
mod forked;

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::{Arc, Mutex},
};

pub(crate) use channel::Channel;
#[cfg(zygotes)]
pub(crate) use forked::run;

use crate::{
    interpreter::{self, Bridge},
    protocol::{
        channel::Kind,
        work::{Warm, Work},
    },
    sandbox::ablation,
};

/// Moves a socket away from standard input, which becomes empty.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    // SAFETY: descriptor 0 is open (the supervisor passed it) and owned by nobody in this process.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3)) };
    let null = File::open("/dev/null")?;
    // SAFETY: both are open descriptors; what 0 was is kept in `socket`.
    if unsafe { libc::dup2(null.as_raw_fd(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

pub(crate) fn report(error: &io::Error) -> i32 {
    // Best effort: this is also the end of a child whose supervisor is gone.
    let text = format!("python-executor child: {error}\n");
    // SAFETY: the buffer lives through the call, and its length is given.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    1
}

/// What this child is to be; nothing if the supervisor is gone.
pub(crate) fn told(channel: &mut Channel) -> io::Result<Option<Warm>> {
    let Some((Kind::Warm, warm)) = channel.next()? else {
        return Ok(None);
    };
    let warm: Warm = serde_json::from_slice(&warm)?;
    if !ablation::off("seal") {
        channel.seal(warm.seal);
    }
    Ok(Some(warm))
}

/// Gets warm, says so, and does what it is then told.
pub(crate) fn work(channel: Channel, warm: &Warm) -> io::Result<()> {
    let channel = Arc::new(Mutex::new(channel));
    let bridge = Bridge::new(channel);
    match interpreter::warm(warm, &bridge) {
        Ok(tools) => bridge.say(Kind::Ready, &[tools.as_bytes()])?,
        Err(failure) => return bridge.fail(&failure),
    }
    // The end comes with the end of the channel: until then the supervisor can ask the kernel what this process has used.
    while let Some((Kind::Work, work)) = bridge.next()? {
        let work: Work = serde_json::from_slice(&work)?;
        match interpreter::work(&work) {
            Ok(result) => bridge.say(Kind::Result, &[result.as_bytes()])?,
            Err(failure) => bridge.fail(&failure)?,
        }
    }
    Ok(())
}
