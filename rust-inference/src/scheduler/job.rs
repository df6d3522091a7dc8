//! What is asked of the scheduler, and what comes back: one generation to be made, and its events.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    constrain::{Candidates, Guide},
    model::Adapter,
    sampling::SamplingParams,
};

/// One generation to be made.
pub struct Job {
    /// Not empty, shorter than the context, every id below the vocabulary's size.
    pub prompt: Vec<u32>,
    /// What is added to the model for it.
    pub adapter: Option<Arc<Adapter>>,
    /// So many tokens at the prompt's beginning are the declarations of the tools, which other requests have too.
    pub shared: usize,
    /// Says what may be written.
    pub guide: Box<dyn Guide>,
    pub sampling: SamplingParams,
    pub max_tokens: usize,
    /// Tokens that end the generation; they are not reported as [`Event::Token`].
    pub stop_ids: Vec<u32>,
    /// Report each token's log probability, and this many of the most probable tokens.
    pub logprobs: Option<usize>,
    pub levers: Levers,
    pub cancelled: CancellationToken,
    /// Unbounded, because what goes through it is bounded by `max_tokens`.
    pub events: mpsc::UnboundedSender<Event>,
}

impl Job {
    /// Nobody wants it any more.
    pub(crate) fn gone(&self) -> bool {
        self.cancelled.is_cancelled() || self.events.is_closed()
    }

    /// How it ends where one of these would come next and there is no room for it. Where only the end may come, all is
    /// there: the end needs no room.
    pub(crate) fn without_room(&self, candidates: &Candidates) -> Finish {
        let ends = |ids: &[u32]| ids.iter().all(|id| self.stop_ids.contains(id));
        match candidates {
            Candidates::List(ids) if ends(ids) => Finish::Complete,
            _ => Finish::Length,
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("prompt", &self.prompt.len())
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

/// What is made of the structure of an answer to be faster. None of it changes what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "switches that have nothing to do with each other"
)]
pub struct Levers {
    /// Forced tokens go through the model in one pass, without the head.
    pub forced: bool,
    /// Of the head only the candidates' rows are computed, where they are few.
    pub rows: bool,
    /// Running text that may be copied from the prompt is guessed, and checked in one pass.
    pub speculation: bool,
    /// What an earlier request has computed of the same beginning is not computed anew.
    pub prefix: bool,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            forced: true,
            rows: true,
            speculation: true,
            prefix: true,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Token {
        id: u32,
        /// If it was asked for.
        logprob: Option<Logprob>,
    },
    /// The last event.
    Finished(Finish, Stats),
}

/// How probable a token was among all of the vocabulary, whatever was allowed and at temperature 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprob {
    /// The natural logarithm of the probability.
    pub logprob: f32,
    /// The most probable tokens with theirs, the most probable first.
    pub top: Vec<(u32, f32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// This stop token came.
    Stop(u32),
    /// The guide says that the answer is complete.
    Complete,
    /// `max_tokens` or the end of the context.
    Length,
    Cancelled,
    /// No logit was a number: the weights are broken.
    NoLogits,
}

/// What a generation cost. Each token written is either forced, constrained or free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub queued: Duration,
    pub prefill: Duration,
    pub decode: Duration,
    /// Spent in the guide; a part of the two before.
    pub constraint: Duration,
    /// Tokens of the prompt that were not computed anew.
    pub cached: usize,
    pub forced: usize,
    pub constrained: usize,
    pub free: usize,
    /// Tokens that were guessed right, of the constrained and the free.
    pub speculated: usize,
    /// Rows of the head that were computed; all of the vocabulary for a token of which nothing is known.
    pub head_rows: u64,
    /// Passes through the layers, those of the prompt included.
    pub forward_passes: usize,
}
