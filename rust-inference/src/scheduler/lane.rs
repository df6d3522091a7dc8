//! One sequence on its way through the model: what is written, what of it the model has seen, and what it is shown ahead
//! of that as a guess.

use std::sync::Arc;

use crate::model::{Adapter, Frozen, KvCache, Model, Span};

#[derive(Debug)]
pub(super) struct Lane {
    /// The prompt, what was written, and behind that what is guessed.
    text: Vec<u32>,
    /// So many tokens are no guess.
    written: usize,
    /// Of what the model has seen.
    cache: KvCache,
    /// The last layer's output of the last token and of those that were guessed behind it, one row each.
    hidden: Vec<f32>,
    /// Passes that it took part in.
    pub(super) passes: usize,
}

impl Lane {
    /// `known`: what was computed of the prompt's beginning before, and how much of it is to be used.
    pub(super) fn new(
        model: &Model,
        prompt: Vec<u32>,
        adapter: Option<Arc<Adapter>>,
        known: Option<(Frozen, usize)>,
    ) -> Self {
        let cache = match known {
            Some((frozen, len)) => KvCache::resume(model, &frozen, len),
            None => KvCache::new(model).with_adapter(adapter),
        };
        Self {
            written: prompt.len(),
            text: prompt,
            cache,
            hidden: Vec::new(),
            passes: 0,
        }
    }

    /// Goes on behind what another has computed of the same beginning.
    pub(super) fn resume(&mut self, model: &Model, frozen: &Frozen) {
        self.cache = KvCache::resume(model, frozen, frozen.len());
    }

    pub(super) fn tokens(&self) -> &[u32] {
        self.text.get(..self.written).unwrap_or_default()
    }

    /// How many tokens the model has seen.
    pub(super) fn seen(&self) -> usize {
        self.cache.len().min(self.written)
    }

    /// Writes a token; says whether it was guessed, so that the model has seen it already.
    pub(super) fn push(&mut self, token: u32) -> bool {
        let guessed = self.text.get(self.written) == Some(&token);
        if !guessed {
            self.forget_guesses();
            self.text.push(token);
        }
        self.written += 1;
        guessed
    }

    /// What the model is to be shown together with the last token.
    pub(super) fn guess(&mut self, guess: &[u32]) {
        self.forget_guesses();
        self.text.extend_from_slice(guess);
    }

    fn forget_guesses(&mut self) {
        self.text.truncate(self.written);
        if self.cache.len() > self.written {
            self.cache.truncate(self.written);
        }
    }

    /// Tokens that the model has not seen, guesses included.
    pub(super) fn unseen(&self) -> usize {
        self.text.len() - self.cache.len()
    }

    /// How many of them can go through the model next, of `most`: the last token and what is guessed behind it go
    /// together, because their outputs are needed at once.
    pub(super) fn portion(&self, most: usize) -> usize {
        if most < self.unseen() {
            most.min(self.unseen() - self.rows())
        } else {
            self.unseen()
        }
    }

    /// The next `count` of them.
    pub(super) fn span(&mut self, count: usize) -> Span<'_> {
        let from = self.cache.len();
        let tokens = self.text.get(from..from + count).unwrap_or_default();
        Span {
            tokens,
            cache: &mut self.cache,
        }
    }

    /// The last layer's output of tokens that have just gone through, one row of `size` numbers each.
    pub(super) fn saw(&mut self, hidden: &[f32], size: usize) {
        self.passes += 1;
        if self.unseen() == 0 {
            self.hidden = last_rows(hidden, self.rows(), size).to_vec();
        }
    }

    /// The last token, and what is guessed behind it.
    pub(super) fn rows(&self) -> usize {
        1 + self.text.len() - self.written
    }

    /// The output of these, once all were seen.
    pub(super) fn hidden(&self, size: usize) -> &[f32] {
        last_rows(&self.hidden, self.rows(), size)
    }

    /// What the model has seen, and the KV of it, for other sequences.
    pub(super) fn freeze(&mut self) -> (&[u32], Frozen) {
        self.forget_guesses();
        let seen = self.text.get(..self.cache.len()).unwrap_or_default();
        (seen, self.cache.freeze())
    }

    /// What it has in common with others.
    pub(super) fn frozen(&self) -> &Frozen {
        self.cache.frozen()
    }
}

pub(super) fn last_rows(values: &[f32], rows: usize, size: usize) -> &[f32] {
    let from = values.len().saturating_sub(rows * size);
    values.get(from..).unwrap_or_default()
}
