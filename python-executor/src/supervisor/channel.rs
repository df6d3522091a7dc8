//! The supervisor's end of a child's channel.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        RecvFlags, SendAncillaryBuffer, SendAncillaryMessage::ScmRights, SendFlags, recv, sendmsg,
    },
};
use tokio::{io::Interest, net::UnixStream};

use crate::{
    protocol::{
        SEND,
        channel::{Kind, Seal, Wrong, first},
    },
    sandbox::ablation,
};

/// Bytes read at once.
const PIECE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    seal: Seal,
    inbox: Vec<u8>,
    /// Frames that are to be written, and the descriptors that go beside them. A child that does not read is not waited
    /// for: they are written while it is listened to.
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    silent: bool,
}

/// What a child says.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
}

impl Channel {
    pub(super) fn new(socket: UnixStream, seal: Seal) -> Self {
        Self {
            socket,
            seal,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            silent: false,
        }
    }

    fn seal(&self) -> &[u8] {
        if ablation::off("seal") {
            return &[];
        }
        &self.seal
    }

    /// The child has closed it, or what came cannot be read: nothing more comes.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Nothing has come, and the child has it open.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.is_empty() && self.peek() == Err(Errno::AGAIN)
    }

    /// Something has come that was not looked at.
    pub(crate) fn has_more(&self) -> bool {
        !self.inbox.is_empty() || matches!(self.peek(), Ok(1..))
    }

    /// Waits for what comes at once, without going to sleep: to be woken takes longer than a quick call.
    pub(crate) fn watch(&self, most: Duration) {
        let until = Instant::now() + most;
        while self.peek() == Err(Errno::AGAIN) && Instant::now() < until {
            // Whoever else wants this processor, such as the child, has it first.
            std::thread::yield_now();
        }
    }

    /// Asks the kernel: the runtime may not have looked yet.
    fn peek(&self) -> Result<usize, Errno> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(&self.socket, &mut [0; 1], flags).map(|(_, came)| came)
    }

    /// Tells the child that there is no more work, which is its end.
    pub(crate) fn close(&self) {
        // An error: it is gone already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
    }

    /// Writes a frame, if need be later, with a descriptor beside it if there is one.
    pub(crate) fn write(&mut self, frame: Vec<u8>, descriptor: Option<OwnedFd>) {
        self.outbox.push_back((frame, descriptor));
        self.flush();
    }

    /// Writes what can be written now.
    fn flush(&mut self) {
        while let Some((bytes, descriptor)) = self.outbox.front_mut() {
            let write = || send(&self.socket, bytes, descriptor.as_ref());
            // Asked of the kernel first: the runtime may not have looked yet.
            let sent = write().or_else(|error| match error.kind() {
                io::ErrorKind::WouldBlock => self.socket.try_io(Interest::WRITABLE, write),
                _ => Err(error),
            });
            match sent {
                Ok(sent) => {
                    *descriptor = None;
                    bytes.drain(..sent);
                    if bytes.is_empty() {
                        self.outbox.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody reads any more, which is seen by who listens.
                Err(_) => self.outbox.clear(),
            }
        }
    }

    /// What the child says next, while it is written to; nothing when it says no more. Nothing is lost if this is
    /// dropped before its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Said>, Wrong> {
        loop {
            let found = first(&self.inbox, self.seal()).inspect_err(|_| self.silent = true)?;
            if let Some((kind, content)) = found {
                let said = Said {
                    kind,
                    content: self.inbox.get(content.clone()).unwrap_or_default().to_vec(),
                };
                self.inbox.drain(..content.end);
                return Ok(Some(said));
            }
            let wanted = if self.outbox.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            // An error of the channel is its end.
            let ready = self.socket.ready(wanted).await;
            self.flush();
            let before = self.inbox.len();
            self.inbox.reserve(PIECE);
            match ready.and_then(|_| self.socket.try_read_buf(&mut self.inbox)) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => {
                    self.silent = true;
                    return if before == 0 {
                        Ok(None)
                    } else {
                        Err(Wrong::Cut)
                    };
                }
            }
        }
    }
}

fn send(socket: &UnixStream, bytes: &[u8], descriptor: Option<&OwnedFd>) -> io::Result<usize> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = descriptor.map(std::os::fd::AsFd::as_fd);
    if let Some(rights) = &rights
        && !control.push(ScmRights(std::slice::from_ref(rights)))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let parts = [io::IoSlice::new(bytes)];
    Ok(sendmsg(
        socket,
        &parts,
        &mut control,
        SEND | SendFlags::DONTWAIT,
    )?)
}
