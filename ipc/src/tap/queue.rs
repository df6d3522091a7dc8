//! What was forwarded and is yet to be shown. Bounded, and never waited for: what finds no room is counted and let go.
use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::connection::Connection;

/// What an event takes besides its bytes.
const EVENT_COST: usize = 128;
/// How long chunks are gathered before they are shown: one wake-up for many.
const TICK: Duration = Duration::from_millis(2);

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// From the client to the server.
    Up,
    Down,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) connection: Arc<Connection>,
    pub(super) direction: Direction,
    pub(super) at: Instant,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Bytes(Bytes),
    /// That many bytes found no room here.
    Missing(u64),
    /// Nothing more comes this way.
    End,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    cost: usize,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    limit: usize,
    dropped: AtomicU64,
    /// Nobody looks any more.
    blind: AtomicBool,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            limit,
            dropped: AtomicU64::new(0),
            blind: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn push(&self, event: Event) -> bool {
        let cost = EVENT_COST
            + match &event.what {
                What::Bytes(bytes) => bytes.len(),
                What::Missing(_) | What::End => 0,
            };
        let mut waiting = self.waiting();
        if waiting.cost + cost > self.limit {
            return false;
        }
        waiting.cost += cost;
        waiting.events.push_back(event);
        // The viewer waits only for the first of a batch.
        if waiting.events.len() == 1 {
            self.filled.notify_one();
        }
        true
    }

    /// What came since the last call; waits for something. None once closed and empty.
    pub(super) fn take(&self) -> Option<VecDeque<Event>> {
        let mut waiting = self.waiting();
        while waiting.events.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self
                .filled
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.closed {
            drop(waiting);
            std::thread::sleep(TICK);
            waiting = self.waiting();
        }
        waiting.cost = 0;
        Some(std::mem::take(&mut waiting.events))
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.filled.notify_one();
    }

    /// From now on nothing is kept: nobody looks.
    pub(super) fn look_away(&self) {
        self.blind.store(true, Ordering::Relaxed);
        *self.waiting() = Waiting {
            closed: true,
            ..Waiting::default()
        };
    }

    /// Bytes that found no room so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The forwarding side of one direction of one connection.
#[derive(Debug)]
pub(super) struct Feed {
    queue: Arc<Queue>,
    connection: Arc<Connection>,
    direction: Direction,
    /// Bytes since the last that found room.
    missing: u64,
}

impl Feed {
    pub(super) fn new(
        queue: Arc<Queue>,
        connection: Arc<Connection>,
        direction: Direction,
    ) -> Self {
        Self {
            queue,
            connection,
            direction,
            missing: 0,
        }
    }

    /// Keeps a copy of what was forwarded, if there is room.
    pub(super) fn saw(&mut self, bytes: &[u8], at: Instant) {
        if self.queue.blind.load(Ordering::Relaxed) {
            return;
        }
        if !(self.tell_missing(at) && self.push(What::Bytes(Bytes::copy_from_slice(bytes)), at)) {
            self.missing += bytes.len() as u64;
            self.queue
                .dropped
                .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// Before anything else is shown of this direction, its gap is.
    fn tell_missing(&mut self, at: Instant) -> bool {
        if self.missing > 0 && self.push(What::Missing(self.missing), at) {
            self.missing = 0;
        }
        self.missing == 0
    }

    fn push(&self, what: What, at: Instant) -> bool {
        self.queue.push(Event {
            connection: self.connection.clone(),
            direction: self.direction,
            at,
            what,
        })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let at = Instant::now();
        // Where there is no room even for this, the total at the end still tells.
        if !self.queue.blind.load(Ordering::Relaxed) && self.tell_missing(at) {
            self.push(What::End, at);
        }
    }
}
