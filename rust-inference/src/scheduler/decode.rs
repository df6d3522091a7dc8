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

/// Forced tokens that are shown to the model together where the head is needed for each: what it gives for one is as
/// long as the vocabulary.
const LONGEST_GUESS: usize = 16;

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
            Next::Forced(tokens) => self.force(&tokens),
            Next::Choose { candidates, free } => self.choose(&candidates, free),
        }
    }

    fn force(&mut self, mut tokens: &[u32]) -> Result<(), Finish> {
        let forced = self.job.levers.forced;
        while let Some((&token, rest)) = tokens.split_first() {
            let mut logprob = None;
            // What a plain engine does for every token; also the only way to a log probability, for which the tokens
            // may go through the model together, as if they were guessed.
            if self.left > 0 && (!forced || self.job.logprobs.is_some()) {
                let ahead = if forced {
                    self.left.min(LONGEST_GUESS)
                } else {
                    0
                };
                self.see(tokens.get(..ahead).unwrap_or(tokens))?;
                logprob = logprob_of(token, self.lane.logits(), self.job.logprobs);
            }
            self.write(token, logprob)?;
            self.stats.forced += 1;
            self.running = 0;
            tokens = rest;
        }
        Ok(())
    }

    fn choose(&mut self, candidates: &Candidates, free: bool) -> Result<(), Finish> {
        if self.left == 0 {
            // Where only the end may come, all is there: the end needs no room.
            let ends = |ids: &[u32]| ids.iter().all(|id| self.job.stop_ids.contains(id));
            let whole = matches!(candidates, Candidates::List(ids) if ends(ids));
            return Err(if whole {
                Finish::Complete
            } else {
                Finish::Length
            });
        }
        self.running = if free { self.running } else { 0 };
        let guess = self.guess(candidates, free);
        self.see(&guess)?;
        let asked = self.job.logprobs;
        let mut logprob = None;
        let chosen = match candidates {
            Candidates::List(ids) if self.job.levers.rows && asked.is_none() => {
                let logits = self.lane.logits_of(ids);
                self.sampler.sample(ids.iter().copied().zip(logits))
            }
            _ => {
                let logits = self.lane.logits();
                let all = (0u32..).zip(logits.iter().copied());
                let chosen = match candidates {
                    Candidates::All => self.sampler.sample(all),
                    Candidates::Mask(_) => {
                        (self.sampler).sample(all.filter(|(id, _)| candidates.contains(*id)))
                    }
                    Candidates::List(ids) => {
                        let logit = |id: &u32| Some((*id, *logits.get(*id as usize)?));
                        self.sampler.sample(ids.iter().filter_map(logit))
                    }
                };
                logprob = chosen.and_then(|token| logprob_of(token, logits, asked));
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
