//! What waits to be written on one connection. A producer never waits: while the socket is slow, each request owns at
//! most one pending delta, to which new text is appended, so a slow reader costs memory bounded by the answers
//! themselves and nobody's time. The writer takes all that waits and writes it with one system call.
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, BytesMut};
use prost::Message as _;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::Notify,
};

use crate::{
    codec::{self, Encoding},
    proto::{Delta, Frame, Meta, frame::Body},
};

/// Bytes gathered before they are written.
const BATCH: usize = 64 << 10;
/// Bytes and frames (other than deltas) that may wait before the connection stops reading what would cause more.
const ROOM_BYTES: usize = 8 << 20;
const ROOM_FRAMES: usize = 1024;

/// Frames waiting for one connection's writer.
#[derive(Debug)]
pub(crate) struct Outbox {
    encoding: Encoding,
    waiting: Mutex<Waiting>,
    /// Something waits, or the outbox was closed.
    filled: Notify,
    /// Something was taken.
    drained: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Entry>,
    /// The pending delta of each request that has one, by the request's serial number.
    deltas: HashMap<u64, Pending>,
    /// Of queued frames; deltas are not counted.
    bytes: usize,
    frames: usize,
    closed: bool,
}

#[derive(Debug)]
enum Entry {
    Frame { frame: Box<Frame>, size: usize },
    Delta(u64),
}

#[derive(Debug)]
struct Pending {
    frame: Frame,
    size: usize,
}

impl Outbox {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            waiting: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame; after `close` it goes nowhere.
    pub(crate) fn push(&self, frame: Frame) {
        let size = frame.encoded_len();
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        waiting.bytes += size;
        waiting.frames += 1;
        waiting.queue.push_back(Entry::Frame {
            frame: Box::new(frame),
            size,
        });
        drop(waiting);
        self.filled.notify_one();
    }

    /// Adds to the pending delta of the request `serial`. Returns the bytes of it that wait.
    pub(crate) fn push_delta(
        &self,
        serial: u64,
        id: u32,
        meta: Option<&Meta>,
        delta: Delta,
    ) -> usize {
        let size = delta.encoded_len();
        let mut waiting = self.lock();
        if waiting.closed {
            return 0;
        }
        if let Some(pending) = waiting.deltas.get_mut(&serial) {
            if let Some(Body::Delta(earlier)) = &mut pending.frame.body {
                merge(earlier, delta);
            }
            pending.size += size;
            return pending.size;
        }
        let frame = Frame {
            id,
            body: Some(Body::Delta(delta)),
            meta: meta.cloned(),
        };
        waiting.deltas.insert(serial, Pending { frame, size });
        waiting.queue.push_back(Entry::Delta(serial));
        drop(waiting);
        self.filled.notify_one();
        size
    }

    /// No more frames; those that wait are still written.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Waits until the queue has room for what another incoming frame may cause.
    pub(crate) async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let waiting = self.lock();
                if waiting.closed || (waiting.bytes < ROOM_BYTES && waiting.frames < ROOM_FRAMES) {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Encodes what waits, up to a batch. Returns whether the outbox is closed and empty.
    fn take(&self, out: &mut BytesMut) -> bool {
        while out.len() < BATCH {
            let mut waiting = self.lock();
            let Some(entry) = waiting.queue.pop_front() else {
                return waiting.closed;
            };
            let frame = match entry {
                Entry::Frame { frame, size } => {
                    waiting.bytes -= size;
                    waiting.frames -= 1;
                    *frame
                }
                Entry::Delta(serial) => match waiting.deltas.remove(&serial) {
                    Some(pending) => pending.frame,
                    None => continue,
                },
            };
            drop(waiting);
            if let Err(status) = codec::encode(&frame, self.encoding, out) {
                // Too large for the protocol: the peer hears that instead.
                let refusal = Frame {
                    id: frame.id,
                    body: Some(status.into_body()),
                    meta: frame.meta,
                };
                // An error's text is short: it has a form.
                let _ = codec::encode(&refusal, self.encoding, out);
            }
        }
        self.drained.notify_waiters();
        false
    }

    /// Writes until the outbox is closed and empty, then ends the stream.
    pub(crate) async fn write_to(&self, mut socket: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(BATCH);
        loop {
            let finished = self.take(&mut out);
            if !out.is_empty() {
                self.drained.notify_waiters();
                while out.has_remaining() {
                    socket.write_buf(&mut out).await?;
                }
                out.clear();
                if out.capacity() > 4 * BATCH {
                    // One large frame is no reason to keep its memory for the connection's life.
                    out = BytesMut::with_capacity(BATCH);
                }
            } else if finished {
                return socket.shutdown().await;
            } else {
                self.filled.notified().await;
            }
        }
    }
}

/// Appends `later` to `earlier`.
pub(crate) fn merge(earlier: &mut Delta, later: Delta) {
    earlier.text.push_str(&later.text);
    earlier.tool_calls.extend(later.tool_calls);
    earlier.stdout.push_str(&later.stdout);
    earlier.stderr.push_str(&later.stderr);
}
