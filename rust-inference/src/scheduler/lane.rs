//! One sequence on its way through the model: what is written, what of it the model has seen, and what it was shown
//! ahead of that as a guess.

use super::Finish;
use crate::model::{Frozen, KvCache, Model};

/// Tokens that go through the model between two looks at whether the request still stands.
const CHUNK: usize = 128;

pub(super) struct Lane<'a> {
    model: &'a Model,
    /// The prompt, then what was written.
    tokens: Vec<u32>,
    /// Guessed, and seen by the model behind all of `tokens`.
    ahead: Vec<u32>,
    /// Of what the model has seen.
    cache: KvCache,
    /// The last layer's output of the tokens that went through last, one row each.
    hidden: Vec<f32>,
    /// The logits of the last rows of `hidden`, once they were needed.
    logits: Vec<f32>,
    pub(super) passes: usize,
    pub(super) head_rows: usize,
}

impl<'a> Lane<'a> {
    /// `known`: what was computed of the prompt's beginning before, and how much of it is to be used.
    pub(super) fn new(model: &'a Model, prompt: Vec<u32>, known: Option<(Frozen, usize)>) -> Self {
        let cache = match known {
            Some((frozen, len)) => KvCache::resume(model, &frozen, len),
            None => KvCache::new(model),
        };
        Self {
            model,
            tokens: prompt,
            ahead: Vec::new(),
            cache,
            hidden: Vec::new(),
            logits: Vec::new(),
            passes: 0,
            head_rows: 0,
        }
    }

    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many tokens the model has seen.
    pub(super) fn seen(&self) -> usize {
        self.cache.len().min(self.tokens.len())
    }

    /// Writes a token; says whether it was guessed, so that the model has seen it already.
    pub(super) fn push(&mut self, token: u32) -> bool {
        let guessed = self.ahead.first() == Some(&token);
        if guessed {
            self.ahead.remove(0);
        } else {
            self.forget_guesses();
        }
        self.tokens.push(token);
        guessed
    }

    /// What the model has seen, and the KV of it, for other sequences.
    pub(super) fn freeze(&mut self) -> (&[u32], Frozen) {
        self.forget_guesses();
        let seen = self.tokens.get(..self.cache.len()).unwrap_or_default();
        (seen, self.cache.freeze())
    }

    /// Lets the model see the first `end` tokens. `gone`: nobody wants them any more.
    pub(super) fn run_to(&mut self, end: usize, gone: impl Fn() -> bool) -> Result<(), Finish> {
        while self.cache.len() < end {
            self.pass(end.min(self.cache.len() + CHUNK), &[], &gone)?;
        }
        Ok(())
    }

    /// Lets the model see all tokens, and behind them `guess` in the same pass.
    pub(super) fn run(&mut self, guess: &[u32], gone: impl Fn() -> bool) -> Result<(), Finish> {
        let end = self.tokens.len();
        if self.seen() == end {
            return Ok(());
        }
        self.run_to(end - (end - self.seen() - 1) % CHUNK - 1, &gone)?;
        self.pass(end, guess, &gone)
    }

    fn pass(&mut self, end: usize, guess: &[u32], gone: impl Fn() -> bool) -> Result<(), Finish> {
        if gone() {
            return Err(Finish::Cancelled);
        }
        let mut unseen = (self.tokens.get(self.cache.len()..end).unwrap_or_default()).to_vec();
        unseen.extend_from_slice(guess);
        self.hidden = self.model.forward(&unseen, &mut self.cache);
        self.logits.clear();
        self.ahead = guess.to_vec();
        self.passes += 1;
        Ok(())
    }

    fn forget_guesses(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            self.cache.truncate(self.tokens.len());
        }
    }

    /// The logits of the token that comes next, once all were seen.
    pub(super) fn logits(&mut self) -> &[f32] {
        let vocabulary = self.model.config.vocab_size;
        let rows = 1 + self.ahead.len();
        if self.logits.is_empty() {
            // Those behind the guesses too: they will be needed if the guesses are right, and the head is read once.
            self.logits =
                self.model
                    .logits(last_rows(&self.hidden, rows, self.model.config.hidden_size));
            self.head_rows += self.logits.len();
        }
        let from_here = last_rows(&self.logits, rows, vocabulary);
        from_here.get(..vocabulary).unwrap_or_default()
    }

    /// Those of `candidates` only.
    pub(super) fn logits_of(&mut self, candidates: &[u32]) -> Vec<f32> {
        let size = self.model.config.hidden_size;
        let from_here = last_rows(&self.hidden, 1 + self.ahead.len(), size);
        self.head_rows += candidates.len();
        self.model
            .logits_of(candidates, from_here.get(..size).unwrap_or_default())
    }
}

fn last_rows(values: &[f32], rows: usize, size: usize) -> &[f32] {
    let from = values.len().saturating_sub(rows * size);
    values.get(from..).unwrap_or_default()
}
