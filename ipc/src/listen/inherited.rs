//! Socket activation: a supervisor makes the listening socket and passes it, so that nobody polls for readiness and no
//! connection is refused while the server starts. The protocol is systemd's `LISTEN_FDS`.
use std::{
    env,
    net::SocketAddr,
    ops::Range,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixListener,
    },
    path::Path,
    sync::{Mutex, PoisonError},
};

use rustix::{io, net};

/// The first descriptor passed.
const FIRST: RawFd = 3;

/// Descriptors that were taken: each has one owner.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// The passed socket that listens on `path`, if there is one.
pub(super) fn take(path: &Path) -> Option<UnixListener> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let fd = passed()
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

/// What was passed and nobody took, each by the name that it has.
pub(super) fn left() -> Vec<String> {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    passed()
        .filter(|fd| !taken.contains(fd))
        .map(name)
        .collect()
}

/// The descriptors that are said to be passed to this very process.
fn passed() -> Range<RawFd> {
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    let ours = number("LISTEN_PID") == Some(std::process::id());
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0);
    FIRST..FIRST.saturating_add(RawFd::try_from(count).unwrap_or(0))
}

fn name(fd: RawFd) -> String {
    // SAFETY: used for a question to the kernel that answers EBADF if it is not open; nothing is closed.
    let address = net::getsockname(unsafe { BorrowedFd::borrow_raw(fd) }).ok();
    let unix = address
        .clone()
        .and_then(|address| net::SocketAddrUnix::try_from(address).ok());
    let path = unix.as_ref().and_then(net::SocketAddrUnix::path_bytes);
    let network = address.and_then(|address| SocketAddr::try_from(address).ok());
    match (path, network) {
        (Some(path), _) => String::from_utf8_lossy(path).into_owned(),
        (None, Some(address)) => address.to_string(),
        (None, None) => format!("descriptor {fd}"),
    }
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
