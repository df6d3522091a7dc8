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
            pending.size += size;
            if let Some(Body::Delta(earlier)) = &mut pending.frame.body {
                if delta.progress.is_some() {
                    // It takes the earlier one's place: however often a tool tells it, no more waits.
                    let replaced = Delta {
                        progress: earlier.progress.take(),
                        ..Delta::default()
                    };
                    pending.size -= replaced.encoded_len();
                }
                merge(earlier, delta);
            }
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

    /// Takes the next frame. Nothing where nothing waits; then whether there will be none any more.
    fn pop(&self) -> Result<Frame, bool> {
        let mut waiting = self.lock();
        loop {
            match waiting.queue.pop_front() {
                None => return Err(waiting.closed),
                Some(Entry::Frame { frame, size }) => {
                    waiting.bytes -= size;
                    waiting.frames -= 1;
                    return Ok(*frame);
                }
                Some(Entry::Delta(serial)) => {
                    if let Some(pending) = waiting.deltas.remove(&serial) {
                        return Ok(pending.frame);
                    }
                }
            }
        }
    }

    /// The next frame, as soon as there is one, for a reader in this process; nothing after `close`.
    pub(crate) async fn next(&self) -> Option<Frame> {
        loop {
            match self.pop() {
                Ok(frame) => {
                    self.drained.notify_waiters();
                    return Some(frame);
                }
                Err(true) => return None,
                Err(false) => self.filled.notified().await,
            }
        }
    }

    /// Encodes what waits, up to a batch. Returns whether the outbox is closed and empty.
    fn take(&self, out: &mut BytesMut) -> bool {
        while out.len() < BATCH {
            let frame = match self.pop() {
                Ok(frame) => frame,
                Err(closed) => return closed,
            };
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

/// Appends `later` to `earlier`: whoever puts the pieces together gets the same, merged or not.
pub(crate) fn merge(earlier: &mut Delta, later: Delta) {
    earlier.text.push_str(&later.text);
    earlier.tool_calls.extend(later.tool_calls);
    earlier.stdout.push_str(&later.stdout);
    earlier.stderr.push_str(&later.stderr);
    earlier.progress = later.progress.or(earlier.progress.take());
    earlier.logs.extend(later.logs);
    for fragment in later.call_deltas {
        match earlier.call_deltas.last_mut() {
            // Only the last is looked at: calls come one after the other, and a search would cost time for each.
            Some(last) if last.index == fragment.index => {
                last.id.push_str(&fragment.id);
                last.name.push_str(&fragment.name);
                last.arguments.push_str(&fragment.arguments);
            }
            _ => earlier.call_deltas.push(fragment),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::proto::{LogRecord, Progress, ToolCallDelta};

    fn fragment() -> impl Strategy<Value = ToolCallDelta> {
        (0u32..3, "[a-c]{0,2}", "[a-c]{0,2}", "[{}:é]{0,4}").prop_map(
            |(index, id, name, arguments)| ToolCallDelta {
                index,
                id,
                name,
                arguments,
            },
        )
    }

    /// The calls as a reader puts them together.
    fn calls<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> BTreeMap<u32, [String; 3]> {
        let mut calls = BTreeMap::<u32, [String; 3]>::new();
        for part in deltas.into_iter().flat_map(|delta| &delta.call_deltas) {
            let call = calls.entry(part.index).or_default();
            call[0] += &part.id;
            call[1] += &part.name;
            call[2] += &part.arguments;
        }
        calls
    }

    fn told() -> impl Strategy<Value = Delta> {
        let progress = (any::<Option<bool>>(), "[a-c]{0,2}").prop_map(|(end, message)| Progress {
            fraction: end.map(f64::from),
            message,
        });
        let log =
            ("[A-C]{0,2}", "[a-c]{0,2}", "[a-c]{0,2}").prop_map(|(level, logger, message)| {
                LogRecord {
                    level,
                    logger,
                    message,
                }
            });
        (proptest::option::of(progress), vec(log, 0..4)).prop_map(|(progress, logs)| Delta {
            progress,
            logs,
            ..Delta::default()
        })
    }

    /// The progress and the logs as a reader keeps them: the latest, and all.
    fn heard<'a>(
        deltas: impl IntoIterator<Item = &'a Delta>,
    ) -> (Option<&'a Progress>, Vec<&'a LogRecord>) {
        let mut heard = (None, Vec::new());
        for delta in deltas {
            heard.0 = delta.progress.as_ref().or(heard.0);
            heard.1.extend(&delta.logs);
        }
        heard
    }

    /// The deltas, each joined to the one before where that is asked for.
    fn merged(deltas: &[Delta], joined: &[bool]) -> Vec<Delta> {
        let mut merged: Vec<Delta> = Vec::new();
        for (delta, joined) in deltas.iter().zip(joined) {
            match merged.last_mut() {
                Some(last) if *joined => merge(last, delta.clone()),
                _ => merged.push(delta.clone()),
            }
        }
        merged
    }

    proptest! {
        #[test]
        fn progress_and_logs_are_the_same_however_they_are_merged(
            deltas in vec(told(), 1..12),
            joined in vec(any::<bool>(), 12),
        ) {
            let merged = merged(&deltas, &joined);
            prop_assert_eq!(heard(&merged), heard(&deltas));
        }

        #[test]
        fn what_waits_is_counted_as_it_is(deltas in vec(told(), 1..12)) {
            let outbox = Outbox::new(Encoding::Binary);
            let mut waiting = Delta::default();
            for delta in deltas {
                merge(&mut waiting, delta.clone());
                prop_assert_eq!(outbox.push_delta(1, 1, None, delta), waiting.encoded_len());
            }
        }

        #[test]
        fn fragments_of_calls_give_the_same_however_they_are_merged(
            fragments in vec(vec(fragment(), 0..4), 1..12),
            joined in vec(any::<bool>(), 12),
        ) {
            let deltas: Vec<_> = fragments
                .into_iter()
                .map(|call_deltas| Delta { call_deltas, ..Delta::default() })
                .collect();
            let merged = merged(&deltas, &joined);
            prop_assert_eq!(calls(&merged), calls(&deltas));
        }
    }

    #[test]
    fn fragments_of_one_call_that_wait_are_one() {
        let piece = |index, arguments: &str| Delta {
            call_deltas: vec![ToolCallDelta {
                index,
                arguments: arguments.into(),
                ..ToolCallDelta::default()
            }],
            ..Delta::default()
        };
        let mut waiting = piece(0, "{");
        for _ in 0..1000 {
            merge(&mut waiting, piece(0, "1"));
        }
        merge(&mut waiting, piece(1, "{}"));
        let lengths: Vec<_> = waiting
            .call_deltas
            .iter()
            .map(|part| (part.index, part.arguments.len()))
            .collect();
        assert_eq!(lengths, [(0, 1001), (1, 2)]);
    }
}
