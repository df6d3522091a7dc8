//! Who answers for a model: this program's own engine, or another. What they have in common is one trait, over the
//! protocol's own messages, so that clients cannot tell them apart but by what is guaranteed.

mod answer;
#[cfg(feature = "mistralrs")]
pub mod mistralrs;
pub mod native;
pub mod openai;
mod prompted;
mod request;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::OnceLock,
    time::{Duration, Instant},
};

use ipc::{
    Status,
    proto::{Done, Embed, Embeddings, Generate, Score, Scores, frame::Body},
    server::{Answer, Request},
};

pub use self::{native::Native, openai::OpenAi};

/// An answer in the making.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send + 'a>>;

/// What answers for one model. `asked.model` is what it calls the model itself, or empty.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Continues a chat or a prompt. A call that it gives is valid against its tool's schema.
    fn generate<'a>(&'a self, asked: Generate, task: &'a Task) -> Answering<'a, Done>;

    /// Vectors that stand for texts.
    fn embed<'a>(&'a self, asked: Embed, task: &'a Task) -> Answering<'a, Embeddings>;

    /// How probable a text is.
    fn score<'a>(&'a self, asked: Score, task: &'a Task) -> Answering<'a, Scores>;

    /// What it is; at once, even when it is busy.
    fn about(&self) -> About;

    /// How busy it is, if it is known.
    fn load(&self) -> Option<Load>;

    /// What another server behind it calls its models, where requests choose among them.
    fn names(&self) -> Answering<'_, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// How sure it is that a call, or promised JSON, is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Nothing else could be written.
    Constrained,
    /// It was written freely and checked behind.
    Checked,
}

impl Guarantee {
    fn of(strict: bool) -> Self {
        if strict {
            Self::Constrained
        } else {
            Self::Checked
        }
    }

    /// As the protocol writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Constrained => "constrained",
            Self::Checked => "checked",
        }
    }
}

/// What a backend is.
#[derive(Clone, Debug)]
pub struct About {
    /// Tokens that prompt and answer can have together; 0: not known.
    pub context: usize,
    pub adapters: Vec<String>,
    /// Of its weights, in this process.
    pub memory_bytes: usize,
    /// What health tells beside.
    pub details: Vec<(&'static str, String)>,
}

/// How busy a backend is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub running: usize,
    pub waiting: usize,
    pub kv_bytes: usize,
    pub prefix_bytes: usize,
    pub prefix_entries: usize,
}

/// One request under way: what it says of itself, where its pieces go, and when the first was there.
#[derive(Debug)]
pub struct Task {
    pub request: Request,
    pub answer: Answer,
    since: Instant,
    first: OnceLock<Duration>,
}

impl Task {
    pub fn new(request: Request, answer: Answer) -> Self {
        Self {
            request,
            answer,
            since: Instant::now(),
            first: OnceLock::new(),
        }
    }

    /// The model wrote a token; only the first time counts.
    pub fn first_token(&self) {
        self.first.get_or_init(|| self.since.elapsed());
    }

    /// How long the first token took, if there was one.
    pub fn to_first_token(&self) -> Option<Duration> {
        self.first.get().copied()
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Ends it.
    pub fn end(self, done: Result<Body, Status>) {
        match done {
            Ok(body) => self.answer.finish(body),
            Err(status) => self.answer.fail(status),
        }
    }
}
