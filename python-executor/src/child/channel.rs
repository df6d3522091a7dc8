//! The child's end of its channel to the supervisor: blocking, because a child does one thing at a time.

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, recvmsg, send};

use crate::protocol::{
    RECEIVE, SEND,
    channel::{Kind, Seal, first, frame},
    work::Failure,
};

#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    seal: Option<Seal>,
    inbox: Vec<u8>,
    /// Descriptors that came and were not asked for yet.
    passed: Vec<OwnedFd>,
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            seal: None,
            inbox: Vec::new(),
            passed: Vec::new(),
        }
    }

    /// What begins each frame from now on.
    pub(super) fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    pub(crate) fn say(&mut self, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
        let seal = self.seal.as_ref().map_or(&[][..], |seal| seal);
        let bytes = frame(seal, kind, parts);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match send(&self.socket, rest, SEND) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn fail(&mut self, failure: &Failure) -> io::Result<()> {
        let json = serde_json::to_vec(failure)?;
        self.say(Kind::Failure, &[&json])
    }

    /// The next frame, whenever it comes; nothing at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Kind, Vec<u8>)>> {
        loop {
            let found = first(&self.inbox, &[])
                .map_err(|wrong| io::Error::other(format!("the supervisor sent {wrong}")))?;
            if let Some((kind, content)) = found {
                let bytes = self.inbox.get(content.clone()).unwrap_or_default().to_vec();
                self.inbox.drain(..content.end);
                return Ok(Some((kind, bytes)));
            }
            if self.read()? == 0 {
                return Ok(None);
            }
        }
    }

    /// The descriptor that came beside what was read last.
    pub(crate) fn passed(&mut self) -> Option<OwnedFd> {
        let last = self.passed.pop();
        self.passed.clear();
        last
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 << 10];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let into = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, into, &mut control, RECEIVE) {
                // A signal is no reason to look after it here: what tool code set up runs when tool code runs.
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.passed.extend(rights);
            }
        }
        self.inbox
            .extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
        Ok(received.bytes)
    }
}
