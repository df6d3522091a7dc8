//! Who may use the model, and when: one thread owns it and takes the requests in turn from a bounded queue.
//!
//! A request that was cancelled, or whose reader went away, frees its place at once while it waits, else at the next
//! token.

mod decode;
mod job;
mod lane;
mod logprob;
mod prefix;
mod queue;
mod read;
mod speculate;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    decode::Decoder,
    prefix::{Held, PrefixCache},
    queue::Queue,
    read::Reader,
};
pub use self::{
    job::{Event, Finish, Job, Levers, Logprob, Stats},
    read::{Found, Reading, Wanted},
};
use crate::model::Model;

/// What a request is taken to last before one was measured: who is refused then shall not come back at once.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// The queue has no room.
#[derive(Debug, thiserror::Error)]
#[error("requests that wait already: {waiting}")]
pub struct Full {
    pub waiting: usize,
}

/// What waits for the model, and since when.
type Waiting = (Work, Instant);

/// What the model is wanted for.
#[derive(Debug)]
enum Work {
    Write(Job),
    Read(Reading),
}

/// The way to the thread that owns the model. The thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub struct Scheduler {
    queue: Arc<Queue<Waiting>>,
    /// Microseconds that a request lately took, smoothed.
    pace: Arc<AtomicU64>,
    held: Arc<Held>,
}

/// A request's place. Dropped while the request waits, it is free for another.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held to be dropped")] queue::Place<Waiting>);

impl Scheduler {
    /// At most `queue` requests wait. Of what was computed at most `prefix_bytes` are kept for requests that begin alike.
    pub fn start(model: Arc<Model>, queue: usize, prefix_bytes: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::<Waiting>::new(queue));
        let pace = Arc::new(AtomicU64::new(0));
        let held = Arc::new(Held::default());
        let (jobs, measured, reported) = (queue.clone(), pace.clone(), held.clone());
        let mut prefixes = PrefixCache::new(prefix_bytes);
        thread::Builder::new().name("model".into()).spawn(move || {
            while let Some((work, since)) = jobs.take() {
                // A fault of one request must not cost the others the model: this one's events end without a last, and
                // what was kept of it was whole.
                let done = catch_unwind(AssertUnwindSafe(|| match work {
                    Work::Write(job) => write(&model, job, &mut prefixes, since),
                    Work::Read(reading) => read(&model, reading, since),
                }));
                prefixes.report(&reported);
                let Ok(stats) = done else {
                    continue;
                };
                let took = (stats.prefill + stats.decode).as_micros() as u64;
                let before = measured.load(Ordering::Relaxed);
                let smoothed = if before == 0 {
                    took
                } else {
                    (3 * before + took) / 4
                };
                measured.store(smoothed, Ordering::Relaxed);
            }
        })?;
        Ok(Self { queue, pace, held })
    }

    pub fn submit(&self, job: Job) -> Result<Place, Full> {
        self.push(Work::Write(job))
    }

    /// The same for texts that are only to be read.
    pub fn read(&self, reading: Reading) -> Result<Place, Full> {
        self.push(Work::Read(reading))
    }

    fn push(&self, work: Work) -> Result<Place, Full> {
        self.queue.push((work, Instant::now())).map(Place)
    }

    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// How long a request that came now would probably wait.
    pub fn expected_wait(&self) -> Duration {
        let pace = match self.pace.load(Ordering::Relaxed) {
            0 => FIRST_GUESS,
            measured => Duration::from_micros(measured),
        };
        pace * (self.waiting() + self.running()) as u32
    }

    /// Bytes and number of the beginnings that are kept.
    pub fn prefixes(&self) -> (usize, usize) {
        let Held { bytes, entries } = &*self.held;
        (
            bytes.load(Ordering::Relaxed),
            entries.load(Ordering::Relaxed),
        )
    }

    pub fn running(&self) -> usize {
        self.queue.running()
    }
}

fn write(model: &Model, mut job: Job, prefixes: &mut PrefixCache, since: Instant) -> Stats {
    let (finish, stats) = Decoder::new(model, &mut job, prefixes, since.elapsed()).run();
    // A reader that is gone needs no answer.
    let _ = job.events.send(Event::Finished(finish, stats));
    stats
}

fn read(model: &Model, reading: Reading, since: Instant) -> Stats {
    let mut reader = Reader::new(reading, since.elapsed());
    while reader.step(model) {}
    reader.finish()
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{constrain::Unguided, sampling::SamplingParams};

    #[test]
    fn a_request_that_panics_costs_no_other_the_model() {
        let model = Arc::new(crate::embedded::model().unwrap());
        let beyond = model.config.vocab_size as u32;
        let scheduler = Scheduler::start(model, 2, 1 << 20).unwrap();
        let submit = |token| {
            let (events, received) = mpsc::unbounded_channel();
            let job = Job {
                prompt: vec![token],
                shared: 0,
                guide: Box::new(Unguided),
                sampling: SamplingParams::default(),
                max_tokens: 1,
                stop_ids: Vec::new(),
                logprobs: None,
                levers: Levers::default(),
                cancelled: CancellationToken::new(),
                events,
            };
            (scheduler.submit(job).unwrap(), received)
        };
        let (_broken, mut none) = submit(beyond);
        let (_good, mut token) = submit(0);
        assert_eq!(none.blocking_recv(), None);
        let deadline = Instant::now() + Duration::from_mins(1);
        let event = loop {
            if let Ok(event) = token.try_recv() {
                break event;
            }
            assert!(Instant::now() < deadline, "the model is lost");
            thread::sleep(Duration::from_millis(1));
        };
        assert!(matches!(event, Event::Token { .. }), "{event:?}");
    }
}
