//! Who may use the model, and when: one thread owns it and takes the requests in turn from a bounded queue.
//!
//! A request that was cancelled, or whose reader went away, frees its place at once while it waits, else at the next
//! token.

mod queue;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::queue::Queue;
use crate::{
    model::{KvCache, Model},
    sampling::{Sampler, SamplingParams},
};

/// Tokens of a prompt that go through the model between two looks at whether the request still stands.
const PREFILL_CHUNK: usize = 128;

/// What a request is taken to last before one was measured: who is refused then shall not come back at once.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// One generation to be made.
#[derive(Debug)]
pub struct Job {
    /// Not empty, shorter than the context, every id below the vocabulary's size.
    pub prompt: Vec<u32>,
    pub sampling: SamplingParams,
    pub max_tokens: usize,
    /// Tokens that end the generation; they are not reported as [`Event::Token`].
    pub stop_ids: Vec<u32>,
    pub cancelled: CancellationToken,
    /// Unbounded, because what goes through it is bounded by `max_tokens`.
    pub events: mpsc::UnboundedSender<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    Token(u32),
    /// The last event.
    Finished(Finish, Timing),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model wrote this stop token.
    Stop(u32),
    /// `max_tokens` or the end of the context.
    Length,
    Cancelled,
    /// No logit was a number: the weights are broken.
    NoLogits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub queued: Duration,
    pub prefill: Duration,
    pub decode: Duration,
}

/// The queue has no room.
#[derive(Debug, thiserror::Error)]
#[error("requests that wait already: {waiting}")]
pub struct Full {
    pub waiting: usize,
}

/// The way to the thread that owns the model. The thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub struct Scheduler {
    queue: Arc<Queue<(Job, Instant)>>,
    /// Microseconds that a request lately took, smoothed.
    pace: Arc<AtomicU64>,
}

/// A request's place. Dropped while the request waits, it is free for another.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held to be dropped")] queue::Place<(Job, Instant)>);

impl Scheduler {
    /// At most `queue` requests wait.
    pub fn start(model: Arc<Model>, queue: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(queue));
        let pace = Arc::new(AtomicU64::new(0));
        let (jobs, measured) = (queue.clone(), pace.clone());
        thread::Builder::new().name("model".into()).spawn(move || {
            while let Some((job, since)) = jobs.take() {
                // A fault of one request must not cost the others the model: this one's events end without a last.
                let Ok((finish, timing)) =
                    catch_unwind(AssertUnwindSafe(|| run(&model, &job, since)))
                else {
                    continue;
                };
                let took = (timing.prefill + timing.decode).as_micros() as u64;
                let before = measured.load(Ordering::Relaxed);
                let smoothed = if before == 0 {
                    took
                } else {
                    (3 * before + took) / 4
                };
                measured.store(smoothed, Ordering::Relaxed);
                // A reader that is gone needs no answer.
                let _ = job.events.send(Event::Finished(finish, timing));
            }
        })?;
        Ok(Self { queue, pace })
    }

    pub fn submit(&self, job: Job) -> Result<Place, Full> {
        self.queue.push((job, Instant::now())).map(Place)
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

    pub fn running(&self) -> usize {
        self.queue.running()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn run(model: &Model, job: &Job, since: Instant) -> (Finish, Timing) {
    let started = Instant::now();
    let mut timing = Timing {
        queued: started - since,
        ..Timing::default()
    };
    let gone = || job.cancelled.is_cancelled() || job.events.is_closed();
    let mut cache = KvCache::new(&model.config);
    let mut hidden = Vec::new();
    for chunk in job.prompt.chunks(PREFILL_CHUNK) {
        if gone() {
            return (Finish::Cancelled, timing);
        }
        hidden = model.forward(chunk, &mut cache);
    }
    timing.prefill = started.elapsed();
    let started = Instant::now();
    let finish = decode(model, job, &mut cache, hidden, gone);
    timing.decode = started.elapsed();
    (finish, timing)
}

fn decode(
    model: &Model,
    job: &Job,
    cache: &mut KvCache,
    mut hidden: Vec<f32>,
    gone: impl Fn() -> bool,
) -> Finish {
    let mut sampler = Sampler::new(job.sampling);
    for _ in 0..job.max_tokens {
        if gone() {
            return Finish::Cancelled;
        }
        let last = hidden.len().saturating_sub(model.config.hidden_size);
        let logits = model.logits(hidden.get(last..).unwrap_or_default());
        let Some(token) = sampler.sample((0..).zip(logits)) else {
            return Finish::NoLogits;
        };
        if job.stop_ids.contains(&token) {
            return Finish::Stop(token);
        }
        if job.events.send(Event::Token(token)).is_err() {
            return Finish::Cancelled;
        }
        if cache.len() >= model.config.context {
            return Finish::Length;
        }
        hidden = model.forward(&[token], cache);
    }
    Finish::Length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_panics_costs_no_other_the_model() {
        let model = Arc::new(crate::embedded::model().unwrap());
        let beyond = model.config.vocab_size as u32;
        let scheduler = Scheduler::start(model, 2).unwrap();
        let submit = |token| {
            let (events, received) = mpsc::unbounded_channel();
            let job = Job {
                prompt: vec![token],
                sampling: SamplingParams::default(),
                max_tokens: 1,
                stop_ids: Vec::new(),
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
        assert!(matches!(event, Event::Token(_)), "{event:?}");
    }
}
