//! Steers one generation of mistral.rs: at each of its steps it gets the logits, chooses the token as our own engine
//! would, tells of it, and leaves mistral.rs no other.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use mistralrs::{CustomLogitsProcessor, Tensor};

use crate::{
    constrain::Next,
    sampling::Sampler,
    scheduler::{Event, Finish, Job, Logprob, Stats, draw},
};

/// One generation.
pub(super) struct Pilot {
    job: Job,
    sampler: Sampler,
    /// Tokens that come next, whatever the logits say.
    forced: VecDeque<u32>,
    /// How many more may be written.
    left: usize,
    started: Instant,
    stats: Stats,
    ended: bool,
}

impl Pilot {
    /// The job's prompt is mistral.rs' already.
    pub(super) fn new(job: Job, context: usize) -> Self {
        Self {
            sampler: Sampler::new(job.sampling),
            forced: VecDeque::new(),
            left: job.max_tokens.min(context),
            started: Instant::now(),
            stats: Stats::default(),
            ended: false,
            job,
        }
    }

    /// What mistral.rs asks at each step.
    pub(super) fn processor(self) -> impl CustomLogitsProcessor {
        let pilot = Arc::new(Mutex::new(self));
        move |logits: &Tensor, _: &[u32]| {
            let values: Vec<f32> = logits.to_vec1()?;
            let token = (pilot.lock().unwrap_or_else(PoisonError::into_inner)).step(&values);
            let mut only = vec![f32::NEG_INFINITY; values.len()];
            if let Some(chosen) = only.get_mut(token as usize) {
                *chosen = 0.0;
            }
            Tensor::from_vec(only, logits.shape(), logits.device())
        }
    }

    /// The token that comes next; one that ends it when it is over.
    fn step(&mut self, logits: &[f32]) -> u32 {
        if self.stats.prefill.is_zero() {
            self.stats.prefill = self.started.elapsed();
        }
        self.stats.forward_passes += 1;
        self.stats.head_rows += logits.len() as u64;
        if !self.ended {
            match self.next(logits) {
                Ok(token) => return token,
                Err(finish) => self.finish(finish),
            }
        }
        self.job.stop_ids.first().copied().unwrap_or_default()
    }

    fn finish(&mut self, finish: Finish) {
        self.ended = true;
        self.stats.decode = self.started.elapsed().saturating_sub(self.stats.prefill);
        // A reader that is gone needs no answer.
        let _ = self.job.events.send(Event::Finished(finish, self.stats));
    }

    fn next(&mut self, logits: &[f32]) -> Result<u32, Finish> {
        if self.job.gone() {
            return Err(Finish::Cancelled);
        }
        if let Some(token) = self.forced.pop_front() {
            self.stats.forced += 1;
            return self.write(token, logits);
        }
        let asked = Instant::now();
        let next = self.job.guide.next(self.left);
        self.stats.constraint += asked.elapsed();
        match next {
            Next::End => Err(Finish::Complete),
            Next::Forced(tokens) => {
                self.forced.extend(tokens);
                let token = self.forced.pop_front().ok_or(Finish::Complete)?;
                self.stats.forced += 1;
                self.write(token, logits)
            }
            Next::Choose { candidates, free } => {
                if self.left == 0 {
                    return Err(self.job.without_room(&candidates));
                }
                let token = draw(&mut self.sampler, &candidates, logits).ok_or(Finish::NoLogits)?;
                self.job.guide.push(token);
                if free {
                    self.stats.free += 1;
                } else {
                    self.stats.constrained += 1;
                }
                self.write(token, logits)
            }
        }
    }

    fn write(&mut self, id: u32, logits: &[f32]) -> Result<u32, Finish> {
        if self.job.stop_ids.contains(&id) {
            return Err(Finish::Stop(id));
        }
        self.left = self.left.checked_sub(1).ok_or(Finish::Length)?;
        let logprob = (self.job.logprobs).and_then(|top| Logprob::of(id, logits, top));
        let sent = self.job.events.send(Event::Token { id, logprob });
        sent.map_err(|_| Finish::Cancelled)?;
        Ok(id)
    }
}
