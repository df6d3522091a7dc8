//! The loop that writes: asks the guide what may come next, the model how probable it is, and the sampler to choose.
//!
//! What is forced is written without asking the model, which sees it later, together with what was chosen last.

use std::time::{Duration, Instant};

use super::{
    Event, Finish, Job, Logprob, Stats, lane::Lane, prefix::PrefixCache, speculate::Speculation,
};
use crate::{
    constrain::{Candidates, Next},
    model::Model,
    sampling::Sampler,
};

/// One generation at work.
pub(super) struct Decoder<'a> {
    job: &'a mut Job,
    lane: Lane<'a>,
    /// Where the beginnings of other requests are, and this one's shall be; nothing if that is switched off.
    prefixes: Option<&'a mut PrefixCache>,
    sampler: Sampler,
    speculation: Speculation,
    /// So many tokens were written last as running text.
    running: usize,
    /// How many more tokens may be written.
    left: usize,
    started: Instant,
    stats: Stats,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        model: &'a Model,
        job: &'a mut Job,
        prefixes: &'a mut PrefixCache,
        queued: Duration,
    ) -> Self {
        let room = model.config.context.saturating_sub(job.prompt.len());
        let started = Instant::now();
        let mut prefixes = job.levers.prefix.then_some(prefixes);
        let known = (prefixes.as_mut()).and_then(|prefixes| prefixes.longest(&job.prompt));
        let lane = Lane::new(model, std::mem::take(&mut job.prompt), known);
        let stats = Stats {
            queued,
            cached: lane.seen(),
            ..Stats::default()
        };
        Self {
            lane,
            prefixes,
            sampler: Sampler::new(job.sampling),
            speculation: Speculation::default(),
            running: 0,
            left: job.max_tokens.min(room),
            job,
            started,
            stats,
        }
    }

    pub(super) fn run(mut self) -> (Finish, Stats) {
        let finish = self.write_all();
        if let Some(prefixes) = self.prefixes {
            let (tokens, frozen) = self.lane.freeze();
            prefixes.keep(tokens, frozen);
        }
        self.stats.decode = (self.started.elapsed()).saturating_sub(self.stats.prefill);
        self.stats.forward_passes = self.lane.passes;
        self.stats.head_rows = self.lane.head_rows as u64;
        (finish, self.stats)
    }

    fn write_all(&mut self) -> Finish {
        if let Err(finish) = self.share() {
            return finish;
        }
        loop {
            if let Err(finish) = self.step() {
                return finish;
            }
        }
    }

    /// Keeps what this prompt has in common with others by itself and at once, whatever becomes of this request.
    fn share(&mut self) -> Result<(), Finish> {
        let job = &*self.job;
        if let Some(prefixes) = &mut self.prefixes
            && self.lane.seen() < job.shared
        {
            self.lane.run_to(job.shared, || job.gone())?;
            let (tokens, frozen) = self.lane.freeze();
            prefixes.keep(tokens, frozen);
        }
        Ok(())
    }

    /// Writes what comes next, if it is not the end.
    fn step(&mut self) -> Result<(), Finish> {
        let asked = Instant::now();
        let next = self.job.guide.next(self.left);
        self.stats.constraint += asked.elapsed();
        match next {
            Next::End => Err(Finish::Complete),
            Next::Forced(tokens) => tokens.into_iter().try_for_each(|token| self.force(token)),
            Next::Choose { candidates, free } => self.choose(&candidates, free),
        }
    }

    fn force(&mut self, token: u32) -> Result<(), Finish> {
        let mut logprob = None;
        // What a plain engine does for every token; also the only way to a log probability.
        if self.left > 0 && (!self.job.levers.forced || self.job.logprobs.is_some()) {
            self.see(&[])?;
            logprob = logprob_of(token, self.lane.logits(), self.job.logprobs);
        }
        self.write(token, logprob)?;
        self.stats.forced += 1;
        self.running = 0;
        Ok(())
    }

    fn choose(&mut self, candidates: &Candidates, free: bool) -> Result<(), Finish> {
        if self.left == 0 {
            return Err(Finish::Length);
        }
        self.running = if free { self.running } else { 0 };
        let guess = self.guess(candidates, free);
        self.see(&guess)?;
        let mut logprob = None;
        let chosen = match candidates {
            Candidates::List(ids) if self.job.levers.rows && self.job.logprobs.is_none() => {
                let logits = self.lane.logits_of(ids);
                self.sampler.sample(ids.iter().copied().zip(logits))
            }
            _ => {
                let logits = self.lane.logits();
                let chosen = self.sampler.sample(possible(candidates, logits));
                logprob = chosen.and_then(|token| logprob_of(token, logits, self.job.logprobs));
                chosen
            }
        };
        let token = chosen.ok_or(Finish::NoLogits)?;
        let told = Instant::now();
        self.job.guide.push(token);
        self.stats.constraint += told.elapsed();
        if self.write(token, logprob)? {
            self.speculation.right();
            self.stats.speculated += 1;
        }
        if free {
            self.stats.free += 1;
            self.running += 1;
        } else {
            self.stats.constrained += 1;
        }
        Ok(())
    }

    /// What running text may go on with, if the model is to be asked anew.
    fn guess(&mut self, candidates: &Candidates, free: bool) -> Vec<u32> {
        let tokens = self.lane.tokens();
        if !free || !self.job.levers.speculation || self.lane.seen() == tokens.len() {
            return Vec::new();
        }
        let possible = |id: &&u32| candidates.contains(**id) && !self.job.stop_ids.contains(*id);
        let guess = self.speculation.guess(tokens, self.running);
        // The last token that may be written need not be seen.
        let guess: Vec<u32> = (guess.iter().take_while(possible).take(self.left - 1))
            .copied()
            .collect();
        self.speculation.begin(guess.len());
        guess
    }

    /// Says whether the token had been guessed. A stop token is no part of the answer, and needs no room.
    fn write(&mut self, id: u32, logprob: Option<Logprob>) -> Result<bool, Finish> {
        if self.job.stop_ids.contains(&id) {
            return Err(Finish::Stop(id));
        }
        self.left = self.left.checked_sub(1).ok_or(Finish::Length)?;
        let sent = self.job.events.send(Event::Token { id, logprob });
        sent.map_err(|_| Finish::Cancelled)?;
        Ok(self.lane.push(id))
    }

    /// Lets the model see all that is written so far, and a guess of what follows.
    fn see(&mut self, guess: &[u32]) -> Result<(), Finish> {
        let job = &*self.job;
        self.lane.run(guess, || job.gone())?;
        if self.stats.prefill.is_zero() {
            self.stats.prefill = self.started.elapsed();
        }
        Ok(())
    }
}

/// If it was asked for, with so many others.
fn logprob_of(token: u32, logits: &[f32], asked: Option<usize>) -> Option<Logprob> {
    asked.and_then(|top| Logprob::of(token, logits, top))
}

/// The tokens that may be chosen, with their logits out of all.
fn possible<'a>(
    candidates: &'a Candidates,
    logits: &'a [f32],
) -> Box<dyn Iterator<Item = (u32, f32)> + 'a> {
    let all = (0u32..).zip(logits.iter().copied());
    match candidates {
        Candidates::All => Box::new(all),
        Candidates::List(ids) => {
            Box::new((ids.iter()).filter_map(|id| Some((*id, *logits.get(*id as usize)?))))
        }
        Candidates::Mask(_) => Box::new(all.filter(|(id, _)| candidates.contains(*id))),
    }
}
