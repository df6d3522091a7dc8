//! Socket activation: a supervisor makes the listening socket and passes it, so that nobody polls for readiness and no
//! connection is refused while the server starts. The protocol is systemd's `LISTEN_FDS`.
use std::{
    env,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::Path,
    sync::Mutex,
};

use rustix::{io, net};

/// The first descriptor passed.
const FIRST: RawFd = 3;

/// Descriptors that were taken: each has one owner.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// The passed socket that listens on `path`, if there is one.
pub(super) fn take(path: &Path) -> Option<UnixListener> {
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID")? != std::process::id() {
        return None;
    }
    let count = RawFd::try_from(number("LISTEN_FDS")?).ok()?;
    let mut taken = TAKEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let fd = (FIRST..FIRST.saturating_add(count))
        .filter(|fd| !taken.contains(fd))
        .find(|fd| listens_on(*fd, path))?;
    taken.push(fd);
    // SAFETY: LISTEN_PID says that this descriptor was passed to this very process, `listens_on` that it is open, and
    // `TAKEN` that no one else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Programs that we start must not hold the socket open.
    io::fcntl_setfd(&fd, io::FdFlags::CLOEXEC).ok()?;
    Some(fd.into())
}

fn listens_on(fd: RawFd, path: &Path) -> bool {
    // SAFETY: used for two questions to the kernel that answer EBADF if it is not open; nothing is closed.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // Apple's kernels cannot be asked: there the name alone says it.
    #[cfg(target_vendor = "apple")]
    let listening = true;
    #[cfg(not(target_vendor = "apple"))]
    let listening = net::sockopt::socket_acceptconn(fd).unwrap_or(false);
    let address = net::getsockname(fd)
        .ok()
        .and_then(|address| net::SocketAddrUnix::try_from(address).ok());
    let same = |address: &net::SocketAddrUnix| {
        address
            .path_bytes()
            .is_some_and(|bytes| bytes == path.as_os_str().as_encoded_bytes())
    };
    listening && address.as_ref().is_some_and(same)
}
