//! One generation, step by step: asks the guide what may come next, the model how probable it is, and the sampler to
//! choose.
//!
//! It never waits. It goes on as far as it can by itself, then says what it needs of the model, so that the needs of many
//! are met together. What is forced is written without asking the model, which sees it later, together with what was
//! chosen last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Event, Finish, Job, Logprob, Stats,
    lane::{Lane, last_rows},
    prefix::PrefixCache,
    speculate::Speculation,
};
use crate::{
    constrain::{Candidates, Next},
    model::{Adapter, Frozen, Model, Span},
    sampling::Sampler,
};

/// Forced tokens that are shown to the model together where the head is needed for each: what it gives for one is as
/// long as the vocabulary.
pub(super) const LONGEST_GUESS: usize = 16;

/// One generation at work.
#[derive(Debug)]
pub(super) struct Sequence {
    job: Job,
    lane: Lane,
    vocabulary: usize,
    sampler: Sampler,
    speculation: Speculation,
    state: State,
    /// So many tokens were written last as running text.
    running: usize,
    /// How many more tokens may be written.
    left: usize,
    started: Instant,
    stats: Stats,
}

/// What is to be done next.
#[derive(Debug)]
enum State {
    /// See what this prompt has in common with others, by itself and at once, whatever becomes of this request.
    Share,
    /// Ask the guide.
    Ask,
    /// Write the tokens, from the index on.
    Force(Vec<u32>, usize),
    Choose {
        candidates: Arc<Candidates>,
        free: bool,
    },
}

/// What it takes to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// The model has to see what is written.
    Sight,
    /// The logits of [`Sequence::hidden`], of the whole vocabulary.
    Head,
    /// Those of [`Sequence::candidates`] only, behind the first row.
    Rows,
}

/// What was needed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    Nothing,
    Head(&'a [f32]),
    Rows(&'a [f32]),
}

impl Sequence {
    /// `known`: what was computed of the prompt's beginning before, and how much of it is to be used.
    pub(super) fn new(
        model: &Model,
        mut job: Job,
        known: Option<(Frozen, usize)>,
        queued: Duration,
    ) -> Self {
        let room = model.config.context.saturating_sub(job.prompt.len());
        let lane = Lane::new(
            model,
            std::mem::take(&mut job.prompt),
            job.adapter.clone(),
            known,
        );
        let shares = job.levers.prefix && lane.seen() < job.shared;
        Self {
            stats: Stats {
                queued,
                cached: lane.seen(),
                ..Stats::default()
            },
            lane,
            vocabulary: model.config.vocab_size,
            sampler: Sampler::new(job.sampling),
            speculation: Speculation::default(),
            state: if shares { State::Share } else { State::Ask },
            running: 0,
            left: job.max_tokens.min(room),
            job,
            started: Instant::now(),
        }
    }

    /// Gives the job back, as if nothing had been begun.
    pub(super) fn undo(mut self) -> Job {
        self.job.prompt = self.lane.tokens().to_vec();
        self.job
    }

    /// Nobody wants it any more.
    pub(super) fn gone(&self) -> bool {
        self.job.gone()
    }

    /// Goes on until it needs something. `guesses`: how many tokens may be guessed.
    pub(super) fn advance(&mut self, given: Given<'_>, guesses: usize) -> Result<Need, Finish> {
        if let Given::Head(logits) | Given::Rows(logits) = given {
            self.stats.head_rows += logits.len() as u64;
        }
        let mut given = given;
        loop {
            let need = match std::mem::replace(&mut self.state, State::Ask) {
                State::Share => {
                    self.state = State::Share;
                    Need::Sight
                }
                State::Ask => self.ask()?,
                State::Force(tokens, at) => self.force(tokens, at, given)?,
                State::Choose { candidates, free } => {
                    let need = self.choose(candidates, free, given, guesses)?;
                    // They were of one token.
                    if matches!(given, Given::Rows(_)) {
                        given = Given::Nothing;
                    }
                    need
                }
            };
            if need != Need::Nothing {
                return Ok(need);
            }
        }
    }

    /// Tokens that the model has to see now, guesses included.
    pub(super) fn unseen(&self) -> usize {
        match self.state {
            State::Share => self.job.shared - self.lane.seen(),
            _ => self.lane.unseen(),
        }
    }

    /// The next `count` of them.
    pub(super) fn span(&mut self, count: usize) -> Span<'_> {
        self.lane.span(count)
    }

    /// The last layer's output of tokens that have just gone through, one row of `size` numbers each.
    pub(super) fn saw(&mut self, hidden: &[f32], size: usize) {
        self.lane.saw(hidden, size);
        if self.lane.unseen() == 0 && self.stats.prefill.is_zero() {
            self.stats.prefill = self.started.elapsed();
        }
    }

    /// What the head is to be applied to: a row for the last token and one for each that is guessed behind it.
    pub(super) fn hidden(&self, size: usize) -> &[f32] {
        self.lane.hidden(size)
    }

    /// Rows of [`Sequence::hidden`].
    pub(super) fn rows(&self) -> usize {
        self.lane.rows()
    }

    /// One of which is to be chosen, if they are few.
    pub(super) fn candidates(&self) -> &[u32] {
        match &self.state {
            State::Choose { candidates, .. } => match &**candidates {
                Candidates::List(ids) => ids,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// What is written, and what is held of it in common with others.
    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The beginning that it is about to see for others, too.
    pub(super) fn sharing(&self) -> Option<&[u32]> {
        match self.state {
            State::Share => self.lane.tokens().get(..self.job.shared),
            _ => None,
        }
    }

    pub(super) fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.job.adapter.as_ref()
    }

    /// Once that was seen: it, and its KV.
    pub(super) fn share(&mut self) -> Option<(&[u32], Frozen)> {
        if self.unseen() > 0 || self.sharing().is_none() {
            return None;
        }
        self.state = State::Ask;
        Some(self.lane.freeze())
    }

    /// Takes what another has seen of the same beginning.
    pub(super) fn resume(&mut self, model: &Model, frozen: &Frozen) {
        self.lane.resume(model, frozen);
        self.stats.cached = self.lane.seen();
        if self.lane.seen() >= self.job.shared {
            self.state = State::Ask;
        }
    }

    /// The most tokens that the model will have seen at the end.
    pub(super) fn most_tokens(&self) -> usize {
        self.lane.tokens().len() + self.left + LONGEST_GUESS
    }

    /// Tells how it ended. What was computed is for others, if they are to have it.
    pub(super) fn finish(mut self, finish: Finish, prefixes: &mut PrefixCache) -> Ended {
        if self.job.levers.prefix {
            let (tokens, frozen) = self.lane.freeze();
            prefixes.keep(tokens, frozen);
        }
        self.stats.decode = (self.started.elapsed()).saturating_sub(self.stats.prefill);
        self.stats.forward_passes = self.lane.passes;
        Ended {
            event: Event::Finished(finish, self.stats),
            took: self.stats.prefill + self.stats.decode,
            job: self.job,
        }
    }

    fn ask(&mut self) -> Result<Need, Finish> {
        let asked = Instant::now();
        let next = self.job.guide.next(self.left);
        self.stats.constraint += asked.elapsed();
        self.state = match next {
            Next::End => return Err(Finish::Complete),
            Next::Forced(tokens) => State::Force(tokens, 0),
            Next::Choose { candidates, free } => State::Choose { candidates, free },
        };
        Ok(Need::Nothing)
    }

    fn force(&mut self, tokens: Vec<u32>, mut at: usize, given: Given<'_>) -> Result<Need, Finish> {
        let forced = self.job.levers.forced;
        while let Some(&token) = tokens.get(at) {
            let mut logprob = None;
            // What a plain engine does for every token; also the only way to a log probability, for which the tokens
            // may go through the model together, as if they were guessed.
            if self.left > 0 && (!forced || self.job.logprobs.is_some()) {
                if self.lane.unseen() > 0 {
                    if forced {
                        let ahead = self.left.min(LONGEST_GUESS).min(tokens.len() - at);
                        self.lane
                            .guess(tokens.get(at..at + ahead).unwrap_or_default());
                    }
                    self.state = State::Force(tokens, at);
                    return Ok(Need::Sight);
                }
                let Some(logits) = self.logits(given) else {
                    self.state = State::Force(tokens, at);
                    return Ok(Need::Head);
                };
                logprob = logprob_of(token, logits, self.job.logprobs);
            }
            self.write(token, logprob)?;
            self.stats.forced += 1;
            self.running = 0;
            at += 1;
        }
        Ok(Need::Nothing)
    }

    fn choose(
        &mut self,
        candidates: Arc<Candidates>,
        free: bool,
        given: Given<'_>,
        guesses: usize,
    ) -> Result<Need, Finish> {
        if self.left == 0 {
            return Err(self.job.without_room(&candidates));
        }
        self.running = if free { self.running } else { 0 };
        if self.lane.unseen() > 0 {
            self.guess(&candidates, free, guesses);
            self.state = State::Choose { candidates, free };
            return Ok(Need::Sight);
        }
        let asked = self.job.logprobs;
        let (chosen, logprob) =
            if let (Candidates::List(ids), Given::Rows(logits)) = (&*candidates, given) {
                let few = ids.iter().copied().zip(logits.iter().copied());
                (self.sampler.sample(few), None)
            } else if let Some(logits) = self.logits(given) {
                let chosen = draw(&mut self.sampler, &candidates, logits);
                let logprob = chosen.and_then(|token| logprob_of(token, logits, asked));
                (chosen, logprob)
            } else {
                let few = matches!(*candidates, Candidates::List(_));
                let rows = few && self.job.levers.rows && asked.is_none();
                self.state = State::Choose { candidates, free };
                return Ok(if rows { Need::Rows } else { Need::Head });
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
        Ok(Need::Nothing)
    }

    /// Of the whole vocabulary, for the token that comes next.
    fn logits<'g>(&self, given: Given<'g>) -> Option<&'g [f32]> {
        match given {
            Given::Head(logits) => {
                last_rows(logits, self.lane.rows(), self.vocabulary).get(..self.vocabulary)
            }
            _ => None,
        }
    }

    /// Guesses what running text may go on with, as the model is to be asked anyway.
    fn guess(&mut self, candidates: &Candidates, free: bool, guesses: usize) {
        if !free || !self.job.levers.speculation {
            return;
        }
        let possible = |id: &&u32| candidates.contains(**id) && !self.job.stop_ids.contains(*id);
        let tokens = self.lane.tokens();
        let guess = self.speculation.guess(tokens, self.running, guesses);
        // The last token that may be written need not be seen.
        let guess: Vec<u32> = (guess.iter().take_while(possible).take(self.left - 1))
            .copied()
            .collect();
        self.speculation.begin(guess.len());
        self.lane.guess(&guess);
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
}

/// A generation that has ended, and what is to be told of it.
#[derive(Debug)]
pub(super) struct Ended {
    job: Job,
    event: Event,
    pub(super) took: Duration,
}

impl Ended {
    pub(super) fn tell(self) {
        // A reader that is gone needs no answer.
        let _ = self.job.events.send(self.event);
    }
}

/// One of the candidates, by the logits of the whole vocabulary.
pub(crate) fn draw(sampler: &mut Sampler, candidates: &Candidates, logits: &[f32]) -> Option<u32> {
    let all = (0u32..).zip(logits.iter().copied());
    match candidates {
        Candidates::All => sampler.sample_all(logits),
        Candidates::Mask(_) => sampler.sample(all.filter(|(id, _)| candidates.contains(*id))),
        Candidates::List(ids) => {
            let logit = |id: &u32| Some((*id, *logits.get(*id as usize)?));
            sampler.sample(ids.iter().filter_map(logit))
        }
    }
}

/// If it was asked for, with so many others.
fn logprob_of(token: u32, logits: &[f32], asked: Option<usize>) -> Option<Logprob> {
    asked.and_then(|top| Logprob::of(token, logits, top))
}
