//! Texts that the model only reads: to tell what stands for them, or how probable they are.
//!
//! They go through it a pass at a time, so that others get on between two passes; short texts share one. What comes out
//! does not depend on that: sums are made in the order of the tokens.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Logprob, Stats};
use crate::model::{KvCache, Model, Span};

/// Tokens of one pass.
pub(super) const CHUNK: usize = 128;
/// Tokens whose logits are made at once: those of one are as long as the vocabulary.
const HEAD: usize = 16;

/// Texts to be read.
#[derive(Debug)]
pub struct Reading {
    /// None is empty or longer than the context, every id is below the vocabulary's size.
    pub texts: Vec<Vec<u32>>,
    pub wanted: Wanted,
    pub cancelled: CancellationToken,
    /// Dropped without an answer if nobody wants it any more, or computing it failed.
    pub answer: oneshot::Sender<(Vec<Found>, Stats)>,
}

/// What is wanted of each text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The mean of the model's output over all tokens.
    Mean,
    /// How probable each token was, but for the first `behind`, of which there must be one at least; and so many of the
    /// most probable tokens in its place.
    Logprobs { behind: usize, top: usize },
}

/// What was found of one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Mean(Vec<f32>),
    Logprobs(Vec<Logprob>),
}

impl Reading {
    fn gone(&self) -> bool {
        self.cancelled.is_cancelled() || self.answer.is_closed()
    }
}

/// A reading at work.
#[derive(Debug)]
pub(super) struct Reader {
    job: Reading,
    /// Those that were not read to the end; of the first the model may have seen a part.
    left: VecDeque<Text>,
    found: Vec<Found>,
    started: Instant,
    stats: Stats,
}

/// One text on its way.
#[derive(Debug)]
struct Text {
    tokens: Vec<u32>,
    /// So many tokens are to be seen.
    end: usize,
    cache: Option<KvCache>,
    /// So many were seen before the last pass.
    seen: usize,
    sum: Vec<f64>,
    logprobs: Vec<Logprob>,
}

impl Reader {
    pub(super) fn new(mut job: Reading, queued: Duration) -> Self {
        let texts = std::mem::take(&mut job.texts);
        let left = texts.into_iter().map(|tokens| Text {
            // Behind the last token there is nothing whose probability is wanted.
            end: tokens.len() - usize::from(matches!(job.wanted, Wanted::Logprobs { .. })),
            tokens,
            cache: None,
            seen: 0,
            sum: Vec::new(),
            logprobs: Vec::new(),
        });
        Self {
            left: left.collect(),
            job,
            found: Vec::new(),
            started: Instant::now(),
            stats: Stats {
                queued,
                ..Stats::default()
            },
        }
    }

    /// Lets the model see the next tokens; false if there are no more, or nobody wants to know.
    pub(super) fn step(&mut self, model: &Model) -> bool {
        if self.left.is_empty() || self.job.gone() {
            return false;
        }
        let mut room = CHUNK;
        let mut spans = Vec::new();
        for text in &mut self.left {
            if room == 0 {
                break;
            }
            let cache = text.cache.get_or_insert_with(|| KvCache::new(model));
            text.seen = cache.len();
            let to = text.end.min(text.seen + room);
            let tokens = text.tokens.get(text.seen..to).unwrap_or_default();
            room -= tokens.len();
            spans.push(Span { tokens, cache });
        }
        let lengths: Vec<usize> = spans.iter().map(|span| span.tokens.len()).collect();
        let size = model.config.hidden_size;
        let mut hidden = &*model.forward_batch(&mut spans);
        for (text, length) in self.left.iter_mut().zip(lengths) {
            let (rows, rest) = hidden.split_at_checked(length * size).unwrap_or_default();
            hidden = rest;
            match self.job.wanted {
                Wanted::Mean => text.add(rows, size),
                Wanted::Logprobs { behind, top } => {
                    self.stats.head_rows += text.judge(model, rows, behind, top);
                }
            }
        }
        self.stats.forward_passes += 1;
        while let Some(text) = self.left.pop_front_if(|text| text.read()) {
            self.found.push(text.found(self.job.wanted));
        }
        true
    }

    /// Answers, if all was read.
    pub(super) fn finish(mut self) -> Stats {
        self.stats.prefill = self.started.elapsed();
        if self.left.is_empty() && !self.job.gone() {
            // Whoever asked may have gone in this moment.
            let _ = self.job.answer.send((self.found, self.stats));
        }
        self.stats
    }
}

impl Text {
    fn read(&self) -> bool {
        self.end == self.cache.as_ref().map_or(0, KvCache::len)
    }

    fn found(self, wanted: Wanted) -> Found {
        match wanted {
            Wanted::Mean => {
                let count = self.tokens.len() as f64;
                Found::Mean(self.sum.iter().map(|sum| (sum / count) as f32).collect())
            }
            Wanted::Logprobs { .. } => Found::Logprobs(self.logprobs),
        }
    }

    fn add(&mut self, hidden: &[f32], size: usize) {
        self.sum.resize(size, 0.0);
        for row in hidden.chunks_exact(size) {
            for (sum, value) in self.sum.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
    }

    /// Looks how probable the tokens were that stand behind those of the last pass, whose output is `hidden`. Gives the
    /// rows of the head that it took.
    fn judge(&mut self, model: &Model, hidden: &[f32], behind: usize, top: usize) -> u64 {
        let (size, vocabulary) = (model.config.hidden_size, model.config.vocab_size);
        let unwanted = (behind - 1).saturating_sub(self.seen);
        let wanted = hidden.get(unwanted * size..).unwrap_or_default();
        let mut next = (self.tokens.iter()).skip(self.seen + unwanted + 1).copied();
        for rows in wanted.chunks(HEAD * size) {
            let logits = model.logits(rows);
            for (logits, token) in logits.chunks_exact(vocabulary).zip(&mut next) {
                self.logprobs.extend(Logprob::of(token, logits, top));
            }
        }
        (wanted.len() / size * vocabulary) as u64
    }
}
