//! The supervisor's end of a child's channel.

use std::{io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use tokio::{io::Interest, net::UnixStream};

use crate::protocol::channel::{Kind, Seal, Wrong, first};

/// Bytes read at once.
const PIECE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Channel {
    socket: UnixStream,
    seal: Seal,
    inbox: Vec<u8>,
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
            silent: false,
        }
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

    /// Writes whole frames.
    pub(crate) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let mut rest = frames;
        while !rest.is_empty() {
            self.socket.writable().await?;
            match self.socket.try_write(rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes a frame with a descriptor beside it.
    pub(crate) async fn pass(&mut self, bytes: &[u8], descriptor: &OwnedFd) -> io::Result<()> {
        use rustix::net::{
            SendAncillaryBuffer, SendAncillaryMessage::ScmRights, SendFlags, sendmsg,
        };
        let sent = self
            .socket
            .async_io(Interest::WRITABLE, || {
                let mut space =
                    [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let rights = [std::os::fd::AsFd::as_fd(descriptor)];
                if !control.push(ScmRights(&rights)) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                let parts = [io::IoSlice::new(bytes)];
                Ok(sendmsg(
                    &self.socket,
                    &parts,
                    &mut control,
                    SendFlags::NOSIGNAL,
                )?)
            })
            .await?;
        self.write(bytes.get(sent..).unwrap_or_default()).await
    }

    /// What the child says next; nothing when it says no more. Nothing is lost if this is dropped before its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Said>, Wrong> {
        loop {
            let found = first(&self.inbox, &self.seal).inspect_err(|_| self.silent = true)?;
            if let Some((kind, content)) = found {
                let said = Said {
                    kind,
                    content: self.inbox.get(content.clone()).unwrap_or_default().to_vec(),
                };
                self.inbox.drain(..content.end);
                return Ok(Some(said));
            }
            // An error of the channel is its end.
            let ready = self.socket.readable().await;
            let before = self.inbox.len();
            self.inbox.reserve(PIECE);
            match ready.and_then(|()| self.socket.try_read_buf(&mut self.inbox)) {
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
