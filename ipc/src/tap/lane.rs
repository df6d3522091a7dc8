//! From the bytes of one direction to frames. Everything here is guessed from bytes that may be anything, with pieces
//! missing: what cannot be understood is said, and never matters to forwarding.
use std::time::Duration;

use bytes::BytesMut;
use tokio_util::codec::Decoder as _;

use crate::{
    codec::{
        Decoder, Encoding, Inbound,
        detect::{Detected, detect},
    },
    frame::MAX_FRAME_BYTES,
    proto::Frame,
};

/// How much is kept of a frame that turns out to be none.
const HEAD: usize = 256;

/// What the bytes turned out to be.
#[derive(Debug)]
pub(super) enum Seen {
    Frame {
        frame: Box<Frame>,
        size: usize,
        /// Fields that the protocol does not know.
        unknown: Vec<String>,
        /// Since the request that this ends.
        latency: Option<Duration>,
    },
    /// No frame: why, how many bytes, and how they begin.
    Bad {
        why: String,
        size: usize,
        head: Vec<u8>,
    },
    /// Of the connection, not in it.
    Note(String),
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    state: State,
    buffer: BytesMut,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come yet.
    #[default]
    Start,
    Frames(Encoding, Decoder),
    /// After a gap in JSON lines: what comes before the next line is the rest of a line.
    Seeking,
    /// Someone else's protocol: bytes are shown as bytes.
    Foreign,
    /// Binary frames whose beginnings are lost: so many bytes since then.
    Lost(u64),
}

impl Lane {
    pub(super) fn encoding(&self) -> Option<Encoding> {
        match &self.state {
            State::Frames(encoding, _) => Some(*encoding),
            State::Seeking => Some(Encoding::JsonLines),
            State::Start | State::Foreign | State::Lost(_) => None,
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
        let mut bytes = bytes;
        match &mut self.state {
            State::Start => {
                let Some(first) = bytes.first() else { return };
                match detect(*first) {
                    Detected::Frames(encoding) => self.start(encoding),
                    Detected::Http | Detected::Unknown => self.state = State::Foreign,
                }
            }
            State::Seeking => {
                let Some(end) = memchr::memchr(b'\n', bytes) else {
                    return;
                };
                bytes = bytes.get(end + 1..).unwrap_or_default();
                self.start(Encoding::JsonLines);
            }
            _ => {}
        }
        match &mut self.state {
            State::Foreign => seen.push(Seen::Bad {
                why: "no frames".into(),
                size: bytes.len(),
                head: bytes.get(..HEAD).unwrap_or(bytes).to_vec(),
            }),
            State::Lost(count) => *count += bytes.len() as u64,
            _ => {
                self.buffer.extend_from_slice(bytes);
                self.decode(false, seen);
            }
        }
    }

    fn start(&mut self, encoding: Encoding) {
        self.state = State::Frames(
            encoding,
            Decoder::new(encoding, MAX_FRAME_BYTES).reporting_unknown(),
        );
    }

    fn decode(&mut self, end: bool, seen: &mut Vec<Seen>) {
        loop {
            let State::Frames(_, decoder) = &mut self.state else {
                return;
            };
            let before = self.buffer.len();
            let head = self.buffer.get(..HEAD).unwrap_or(&self.buffer).to_vec();
            let item = if end {
                decoder.decode_eof(&mut self.buffer)
            } else {
                decoder.decode(&mut self.buffer)
            };
            let size = before - self.buffer.len();
            match item {
                Ok(None) => return,
                Ok(Some(Ok(Inbound { frame, unknown }))) => seen.push(Seen::Frame {
                    frame: Box::new(frame),
                    size,
                    unknown,
                    latency: None,
                }),
                Ok(Some(Err(flaw))) => {
                    let head = head.get(..size).unwrap_or(&head).to_vec();
                    seen.push(Seen::Bad {
                        why: flaw.status.message,
                        size,
                        head,
                    });
                    if flaw.fatal && !end {
                        seen.push(Seen::Note(
                            "frames are lost from here on: this direction is only forwarded".into(),
                        ));
                        self.state = State::Lost(0);
                        return;
                    }
                }
                // Decoders of bytes in memory have no input that could fail.
                Err(error) => return seen.push(Seen::Note(error.to_string())),
            }
        }
    }

    /// Bytes are missing here.
    pub(super) fn gap(&mut self, count: u64, other: Option<Encoding>, seen: &mut Vec<Seen>) {
        let lost = self.buffer.len() as u64;
        self.buffer.clear();
        let encoding = self.encoding().or(other);
        let what = format!("{} bytes were forwarded and not looked at", count + lost);
        let then = match (&mut self.state, encoding) {
            (State::Foreign, _) => "",
            (State::Lost(since), _) => {
                *since += count;
                return;
            }
            (state, Some(Encoding::JsonLines)) => {
                *state = State::Seeking;
                ": frames are missing up to the next line"
            }
            (state, _) => {
                *state = State::Lost(0);
                ": binary frames cannot be found again, this direction is only forwarded from here on"
            }
        };
        seen.push(Seen::Note(what + then));
    }

    pub(super) fn end(&mut self, seen: &mut Vec<Seen>) {
        if let State::Lost(since @ 1..) = self.state {
            seen.push(Seen::Note(format!(
                "{since} bytes were forwarded that could not be understood"
            )));
        }
        self.decode(true, seen);
        self.state = State::Lost(0);
    }
}
