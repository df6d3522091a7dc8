//! One sequence on its way through the model: what is written, and what of it the model has seen.

use super::Finish;
use crate::model::{Frozen, KvCache, Model};

/// Tokens that go through the model between two looks at whether the request still stands.
const CHUNK: usize = 128;

pub(super) struct Lane<'a> {
    pub(super) model: &'a Model,
    /// The prompt, then what was written.
    tokens: Vec<u32>,
    /// Of the first tokens.
    cache: KvCache,
    /// The last layer's output of the tokens that went through last.
    hidden: Vec<f32>,
    pub(super) passes: usize,
}

impl<'a> Lane<'a> {
    /// `known`: what was computed of the prompt's beginning before, and how much of it is to be used.
    pub(super) fn new(model: &'a Model, prompt: Vec<u32>, known: Option<(Frozen, usize)>) -> Self {
        let cache = match known {
            Some((frozen, len)) => KvCache::resume(&model.config, &frozen, len),
            None => KvCache::new(&model.config),
        };
        Self {
            model,
            tokens: prompt,
            cache,
            hidden: Vec::new(),
            passes: 0,
        }
    }

    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// How many tokens the model has seen.
    pub(super) fn seen(&self) -> usize {
        self.cache.len()
    }

    /// What the model has seen, and the KV of it, for other sequences.
    pub(super) fn freeze(&mut self) -> (&[u32], Frozen) {
        let seen = self.tokens.get(..self.cache.len()).unwrap_or_default();
        (seen, self.cache.freeze())
    }

    /// Lets the model see all tokens. `gone`: nobody wants them any more.
    pub(super) fn run(&mut self, gone: impl Fn() -> bool) -> Result<(), Finish> {
        self.run_to(self.tokens.len(), gone)
    }

    /// Lets the model see the first `end` tokens.
    pub(super) fn run_to(&mut self, end: usize, gone: impl Fn() -> bool) -> Result<(), Finish> {
        let unseen = self.tokens.get(self.cache.len()..end).unwrap_or_default();
        for chunk in unseen.chunks(CHUNK) {
            if gone() {
                return Err(Finish::Cancelled);
            }
            self.hidden = self.model.forward(chunk, &mut self.cache);
            self.passes += 1;
        }
        Ok(())
    }

    /// What the head makes the next token's logits of, once all tokens were seen.
    pub(super) fn hidden(&self) -> &[f32] {
        let last = (self.hidden.len()).saturating_sub(self.model.config.hidden_size);
        self.hidden.get(last..).unwrap_or_default()
    }
}
