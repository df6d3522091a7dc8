//! Who may use the model, and when: one thread owns it, takes the requests from a bounded queue, and works on many of them
//! at once.
//!
//! A request that was cancelled, or whose reader went away, frees its place at once while it waits, else at the next
//! pass through the model.

mod engine;
mod job;
mod lane;
mod logprob;
mod memory;
mod plan;
mod prefix;
mod queue;
mod read;
mod sequence;
mod speculate;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

#[cfg(feature = "mistralrs")]
pub(crate) use self::sequence::draw;
use self::{engine::Engine, queue::Queue};
pub use self::{
    job::{Event, Finish, Job, Levers, Logprob, Stats},
    read::{Found, Reading, Wanted},
};
use crate::model::Model;

/// What a request is taken to last before one was measured: who is refused then shall not come back at once.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests at work at once.
    pub parallel: usize,
    /// Requests that may wait beside them.
    pub queue: usize,
    /// Bytes of KV that those at work may come to need.
    pub kv_bytes: usize,
    /// Bytes of what was computed that are kept for requests that begin alike.
    pub prefix_bytes: usize,
}

impl Default for Capacity {
    /// With the shape of 270M each of 16 can have 1,700 tokens of prompt and answer.
    fn default() -> Self {
        Self {
            parallel: 16,
            queue: 64,
            kv_bytes: 512 << 20,
            prefix_bytes: 256 << 20,
        }
    }
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the queue is full: requests that wait already: {waiting}")]
    Full { waiting: usize },
    /// It would not fit if it were alone.
    #[error("the request may need {needed} bytes of KV cache, and there are {limit}")]
    TooLarge { needed: usize, limit: usize },
}

/// What waits for the model, and since when.
type Waiting = (Work, Instant);

/// What the model is wanted for.
#[derive(Debug)]
enum Work {
    Write(Job),
    Read(Reading),
}

/// What the thread that owns the model tells of itself.
#[derive(Debug)]
struct Gauges {
    /// Microseconds that a request lately took, smoothed.
    pace: AtomicU64,
    prefix_bytes: AtomicUsize,
    prefix_entries: AtomicUsize,
    kv_bytes: AtomicUsize,
    /// Of each pass through the layers, how many requests shared it.
    sharing: Histogram,
}

/// For how many requests share a pass.
pub fn sharing() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 8))
}

impl Gauges {
    fn new(sharing: Histogram) -> Self {
        Self {
            pace: AtomicU64::default(),
            prefix_bytes: AtomicUsize::default(),
            prefix_entries: AtomicUsize::default(),
            kv_bytes: AtomicUsize::default(),
            sharing,
        }
    }

    fn passed(&self, requests: usize) {
        self.sharing.observe(requests as f64);
    }

    fn took(&self, time: Duration) {
        let took = time.as_micros() as u64;
        let smoothed = match self.pace.load(Ordering::Relaxed) {
            0 => took,
            before => (3 * before + took) / 4,
        };
        self.pace.store(smoothed, Ordering::Relaxed);
    }
}

/// The way to the thread that owns the model. The thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub struct Scheduler {
    model: Arc<Model>,
    queue: Arc<Queue<Waiting>>,
    gauges: Arc<Gauges>,
    capacity: Capacity,
}

/// A request's place. Dropped while the request waits, it is free for another.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held to be dropped")] queue::Place<Waiting>);

impl Scheduler {
    pub fn start(model: Arc<Model>, capacity: Capacity) -> std::io::Result<Self> {
        Self::start_observed(model, capacity, sharing())
    }

    /// `sharing` is told of each pass through the layers how many requests shared it.
    pub fn start_observed(
        model: Arc<Model>,
        capacity: Capacity,
        sharing: Histogram,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity.parallel, capacity.queue));
        let gauges = Arc::new(Gauges::new(sharing));
        let engine = Engine::new(model.clone(), queue.clone(), gauges.clone(), capacity);
        (thread::Builder::new().name("model".into())).spawn(move || engine.run())?;
        Ok(Self {
            model,
            queue,
            gauges,
            capacity,
        })
    }

    pub fn submit(&self, job: Job) -> Result<Place, Refused> {
        let needed = memory::of_request(
            self.model.kv_shape(),
            job.prompt.len(),
            job.max_tokens,
            job.shared,
        );
        self.push(Work::Write(job), needed)
    }

    /// The same for texts that are only to be read.
    pub fn read(&self, reading: Reading) -> Result<Place, Refused> {
        let needed = memory::of_reading(self.model.kv_shape(), &reading);
        self.push(Work::Read(reading), needed)
    }

    fn push(&self, work: Work, needed: usize) -> Result<Place, Refused> {
        let limit = self.capacity.kv_bytes;
        if needed > limit {
            return Err(Refused::TooLarge { needed, limit });
        }
        let pushed = self.queue.push((work, Instant::now()));
        pushed
            .map(Place)
            .map_err(|waiting| Refused::Full { waiting })
    }

    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    pub fn running(&self) -> usize {
        self.queue.running()
    }

    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How long a request that came now would probably wait.
    pub fn expected_wait(&self) -> Duration {
        let pace = match self.gauges.pace.load(Ordering::Relaxed) {
            0 => FIRST_GUESS,
            measured => Duration::from_micros(measured),
        };
        let running = self.running();
        pace * (self.waiting() + running) as u32 / running.max(1) as u32
    }

    /// Bytes and number of the beginnings that are kept.
    pub fn prefixes(&self) -> (usize, usize) {
        let of = |gauge: &AtomicUsize| gauge.load(Ordering::Relaxed);
        (
            of(&self.gauges.prefix_bytes),
            of(&self.gauges.prefix_entries),
        )
    }

    /// Bytes of KV that those at work have reserved, and hold in common with others.
    pub fn kv_bytes(&self) -> usize {
        self.gauges.kv_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.queue.close();
    }
}
