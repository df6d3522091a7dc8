//! From the bytes of one direction to frames, and from frames to who answers whom. Everything here is guessed from
//! bytes that may be anything, with pieces missing: what cannot be understood is said, and never matters to forwarding.
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use ipc::{
    codec::{
        Decoder, Encoding, Inbound,
        detect::{Detected, detect},
    },
    frame::MAX_FRAME_BYTES,
    proto::{Frame, frame::Body},
};
use tokio_util::codec::Decoder as _;

use super::queue::{Direction, What};

/// Requests whose answers are awaited, at most: a peer that asks without end must not fill our memory.
const MAX_AWAITED: usize = 4096;
/// How much is kept of a frame that turns out to be none.
const HEAD: usize = 256;

/// One connection, numbered in the order of arrival.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) lanes: Mutex<Lanes>,
}

impl Connection {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            lanes: Mutex::default(),
        }
    }
}

/// What is known of a connection. Only the viewer looks at it.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    up: Lane,
    down: Lane,
    awaited: HashMap<(Direction, u32), Instant>,
}

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
struct Lane {
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

impl Lanes {
    /// Takes in what came; says what it is.
    pub(super) fn take(&mut self, direction: Direction, at: Instant, what: What) -> Vec<Seen> {
        let mut seen = Vec::new();
        let other = match direction {
            Direction::Up => self.down.encoding(),
            Direction::Down => self.up.encoding(),
        };
        let lane = match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        };
        let ended = matches!(what, What::End);
        match what {
            What::Bytes(bytes) => lane.bytes(&bytes, &mut seen),
            What::Missing(count) => {
                lane.gap(count, other, &mut seen);
                // Answers may be among what is missing: who waits for one is not known any more.
                self.awaited.retain(|(asked, _), _| *asked == direction);
            }
            What::End => lane.end(&mut seen),
        }
        for seen in &mut seen {
            if let Seen::Frame { frame, latency, .. } = seen {
                *latency = self.pair(direction, at, frame);
            }
        }
        if ended {
            seen.extend(self.unanswered(direction));
        }
        seen
    }

    /// Remembers a request; gives the time since the request that `frame` ends.
    fn pair(&mut self, direction: Direction, at: Instant, frame: &Frame) -> Option<Duration> {
        let body = frame.body.as_ref()?;
        if body.is_terminal() {
            let asked = self.awaited.remove(&(direction.opposite(), frame.id))?;
            return Some(at.saturating_duration_since(asked));
        }
        let asks = !matches!(body, Body::Delta(_) | Body::Cancel(_) | Body::GoAway(_));
        if asks && self.awaited.len() < MAX_AWAITED {
            self.awaited.insert((direction, frame.id), at);
        }
        None
    }

    /// Requests that the end of `direction` leaves without an answer.
    fn unanswered(&mut self, direction: Direction) -> Option<Seen> {
        let asked = direction.opposite();
        let mut ids: Vec<_> = self
            .awaited
            .keys()
            .filter(|(d, _)| *d == asked)
            .map(|(_, id)| *id)
            .collect();
        ids.sort_unstable();
        self.awaited.retain(|(d, _), _| *d != asked);
        let (first, more) = (ids.first()?, ids.len() - 1);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Some(Seen::Note(format!(
            "ended without answering request {first}{more}"
        )))
    }
}

impl Direction {
    fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl Lane {
    fn encoding(&self) -> Option<Encoding> {
        match &self.state {
            State::Frames(encoding, _) => Some(*encoding),
            State::Seeking => Some(Encoding::JsonLines),
            State::Start | State::Foreign | State::Lost(_) => None,
        }
    }

    fn bytes(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
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
    fn gap(&mut self, count: u64, other: Option<Encoding>, seen: &mut Vec<Seen>) {
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

    fn end(&mut self, seen: &mut Vec<Seen>) {
        if let State::Lost(since @ 1..) = self.state {
            seen.push(Seen::Note(format!(
                "{since} bytes were forwarded that could not be understood"
            )));
        }
        self.decode(true, seen);
        self.state = State::Lost(0);
    }
}
