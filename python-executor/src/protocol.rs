//! What supervisor and zygote say to each other: one JSON message a packet of a `SOCK_SEQPACKET` socket, with the
//! descriptors of a call beside it. Nothing here comes from tool code.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sandbox::Confinement;

/// Largest packet; what can be longer travels in the request's file.
const MAX_PACKET: usize = 64 << 10;
/// Descriptors of one call: the request, stdout, stderr, and where the result goes.
pub(crate) const CALL_FDS: usize = 4;

/// supervisor → zygote
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Fork a child for this; the descriptors come beside it.
    Start { id: u64 },
    /// Kill that child and all its threads.
    Kill { id: u64 },
}

/// zygote → supervisor
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Python is up. The version is the interpreter's.
    Ready { python: String },
    /// Python is not up, and the zygote ends.
    Failed { what: String, fix: String },
    /// The child of this call is gone: its wait status, and what it used.
    Ended {
        id: u64,
        status: i32,
        cpu_us: u64,
        max_rss_kib: u64,
    },
}

/// What a child is to do. It reads this from its request file before it confines itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) confinement: Confinement,
    pub(crate) file: PathBuf,
    /// Nothing: only describe the file's tools.
    pub(crate) call: Option<CallTask>,
    /// Begins the one result frame, so that what tool code writes there is told from it.
    pub(crate) seal: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallTask {
    pub(crate) name: String,
    /// JSON text.
    pub(crate) arguments: String,
}

/// What a child says of its task: the JSON behind the seal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// JSON text.
    Ok(String),
    Exception {
        kind: String,
        message: String,
        traceback: String,
    },
    BadResult(String),
    SandboxSetup(String),
}

pub(crate) fn send(socket: impl AsFd, message: &impl Serialize, fds: &[OwnedFd]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CALL_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(
        socket,
        &[IoSlice::new(&bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The next message and its descriptors; nothing at the end.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CALL_FDS))];
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
