//! One connection as it is understood: its two lanes, and who answers whom across them.
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{
    lane::{Lane, Seen},
    queue::{Direction, What},
};
use crate::proto::{Frame, frame::Body};

/// Requests whose answers are awaited, at most: a peer that asks without end must not fill our memory.
const MAX_AWAITED: usize = 4096;
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
