//! A guide that follows a script, and the run of a job with it.

use std::sync::Arc;

use rust_inference::{
    constrain::{Candidates, Guide, Next},
    embedded,
    model::Model,
    sampling::SamplingParams,
    scheduler::{Capacity, Event, Finish, Job, Levers, Logprob, Place, Scheduler, Stats},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub enum Step {
    Force(Vec<u32>),
    Choose(Candidates),
    /// So many tokens of running text, of which each may be any but the first id.
    Free(usize),
}

#[derive(Clone)]
pub struct Script(pub Vec<Step>);

impl Script {
    fn step(&self) -> Option<&Step> {
        self.0.first()
    }
}

impl Guide for Script {
    fn next(&mut self, _left: usize) -> Next {
        match self.step().cloned() {
            None => Next::End,
            Some(Step::Force(tokens)) => {
                self.0.remove(0);
                Next::Forced(tokens)
            }
            Some(Step::Choose(candidates)) => Next::Choose {
                candidates: Arc::new(candidates),
                free: false,
            },
            Some(Step::Free(_)) => {
                let mut mask = vec![u64::MAX; 100];
                mask[0] -= 1;
                Next::Choose {
                    candidates: Arc::new(Candidates::Mask(mask)),
                    free: true,
                }
            }
        }
    }

    fn push(&mut self, token: u32) {
        match self.0.first_mut() {
            Some(Step::Choose(candidates)) => assert!(candidates.contains(token)),
            Some(Step::Free(count)) if *count > 1 => {
                *count -= 1;
                return;
            }
            Some(Step::Free(_)) => {}
            other => panic!("{token} was chosen at {:?}", other.is_some()),
        }
        self.0.remove(0);
    }
}

pub fn model() -> Arc<Model> {
    Arc::new(embedded::model().unwrap())
}

pub fn tokens(model: &Model, text: &str) -> Vec<u32> {
    (model.tokenizer)
        .encode(&model.tokenizer.pieces(text))
        .unwrap()
}

#[derive(Debug, PartialEq)]
pub struct Written {
    pub tokens: Vec<u32>,
    pub logprobs: Vec<Option<Logprob>>,
    pub finish: Finish,
    pub stats: Stats,
}

/// A job that follows the script; the channel is put in by [`run`].
pub fn job(prompt: Vec<u32>, script: Vec<Step>) -> Job {
    Job {
        prompt,
        adapter: None,
        shared: 0,
        guide: Box::new(Script(script)),
        sampling: SamplingParams::default(),
        max_tokens: 1000,
        stop_ids: Vec::new(),
        logprobs: None,
        levers: Levers::default(),
        cancelled: CancellationToken::new(),
        events: mpsc::unbounded_channel().0,
    }
}

/// A scheduler with room for 16 at once, and for so much of what was computed before.
pub fn start(model: &Arc<Model>, prefix_bytes: usize) -> Scheduler {
    let capacity = Capacity {
        parallel: 16,
        queue: 16,
        kv_bytes: 64 << 20,
        prefix_bytes,
    };
    Scheduler::start(model.clone(), capacity).unwrap()
}

pub fn run(scheduler: &Scheduler, job: Job) -> Written {
    let (_place, received) = submit(scheduler, job);
    wait(received)
}

pub fn submit(scheduler: &Scheduler, mut job: Job) -> (Place, mpsc::UnboundedReceiver<Event>) {
    let (events, received) = mpsc::unbounded_channel();
    job.events = events;
    (scheduler.submit(job).unwrap(), received)
}

/// All that comes until the end.
pub fn wait(mut received: mpsc::UnboundedReceiver<Event>) -> Written {
    let (mut tokens, mut logprobs) = (Vec::new(), Vec::new());
    loop {
        match received.blocking_recv().unwrap() {
            Event::Token { id, logprob } => {
                tokens.push(id);
                logprobs.push(logprob);
            }
            Event::Finished(finish, stats) => {
                return Written {
                    tokens,
                    logprobs,
                    finish,
                    stats,
                };
            }
        }
    }
}

/// All ways to set the levers.
pub fn all_levers() -> impl Iterator<Item = Levers> + Clone {
    (0..16u8).map(|bits| Levers {
        forced: bits & 1 == 0,
        rows: bits & 2 == 0,
        speculation: bits & 4 == 0,
        prefix: bits & 8 == 0,
    })
}
