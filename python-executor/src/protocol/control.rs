//! Between supervisor and zygote: orders one way, reports the other, as JSON over a socket that keeps messages whole
//! and carries descriptors. Nothing here comes from tool code.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Ended;
use crate::sandbox::Unavailable;

/// Largest message.
const MAX_PACKET: usize = 64 << 10;
/// Descriptors of one child: its channel, stdout and stderr.
pub(crate) const CHILD_FDS: usize = 3;

/// supervisor → zygote
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Fork a child; its descriptors come beside this.
    Start { id: u64 },
}

/// zygote → supervisor
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Python is up. The version is the interpreter's; and whether children can have no more threads than they may.
    Ready {
        python: String,
        limits_threads: bool,
    },
    /// The jail cannot be made, and the zygote ends.
    Unavailable(Unavailable),
    /// Python is not up, and the zygote ends.
    Failed { what: String, fix: String },
    /// The child is there; a handle of its process comes beside this.
    Started { id: u64 },
    /// There is no such child.
    NotStarted { id: u64, why: String },
    /// The child is gone: its wait status, and what it used.
    Ended { id: u64, ended: Ended },
}

/// Sends an order, and never waits: a zygote that does not read is stuck.
pub(crate) fn order(socket: impl AsFd, order: &Order, fds: &[OwnedFd]) -> io::Result<()> {
    send(socket, order, fds, SendFlags::DONTWAIT)
}

/// Sends a report, however many children end at once and however busy the supervisor is.
pub(crate) fn report(socket: impl AsFd, report: &Report, fds: &[OwnedFd]) -> io::Result<()> {
    send(socket, report, fds, SendFlags::empty())
}

fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[OwnedFd],
    flags: SendFlags,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHILD_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let flags = flags | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags)?;
    Ok(())
}

/// The next message and its descriptors; nothing at the end.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHILD_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            // The other end is gone, and with it what it had not read.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(bytes.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, fds)))
}
