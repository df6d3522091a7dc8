//! Connects to a socket by its path, opened without following a symbolic link anywhere on the way: what a tool may write
//! to could otherwise lead elsewhere.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use tokio::{net::UnixStream, time::sleep};

use super::{blocking, refused, told};
use crate::{policy::Endpoint, protocol::work::Refused};

pub(super) async fn connect(path: &Path) -> Result<OwnedFd, Refused> {
    let endpoint = Endpoint::Unix(path.to_owned());
    let failed = |error: rustix::io::Errno| match error {
        rustix::io::Errno::LOOP => refused(
            libc::ELOOP,
            format!(
                "{endpoint}: there is a symbolic link on the way; the policy names the place itself"
            ),
        ),
        error => told(&endpoint, &error.into()),
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let opened =
        openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(failed)?;
    let kind = FileType::from_raw_mode(fstat(&opened).map_err(failed)?.st_mode);
    if kind != FileType::Socket {
        return Err(refused(
            libc::ENOTSOCK,
            format!("{endpoint} is not a socket"),
        ));
    }
    // What was opened, whatever has the name by now.
    let opened_path = format!("/proc/self/fd/{}", opened.as_raw_fd());
    loop {
        match UnixStream::connect(&opened_path).await {
            Ok(stream) => return blocking(stream.into_std()),
            // Its queue is full; a blocking connect would wait as well.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(told(&endpoint, &error)),
        }
    }
}
