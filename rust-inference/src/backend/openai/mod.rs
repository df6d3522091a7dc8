//! Other people's servers as a backend: Ollama, LM Studio, llama-server, vLLM and all others that speak `OpenAI`'s HTTP.
//!
//! Nothing of theirs is trusted: an answer is bounded, read whatever its portions, and its calls and its JSON are checked
//! before a client hears of them. What such a server cannot be told is refused by name.

mod address;
mod ask;
mod check;
mod chunk;
mod embed;
mod events;
mod gather;
mod generate;
mod http;
mod link;
mod names;
mod refusal;
mod unique;
mod written;

use std::time::Duration;

use ipc::{
    Status,
    proto::{Done, Embed, Embeddings, Generate, Score, Scores},
    trace::TraceParent,
};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::address::Address;
use self::http::Peer;
use super::{About, Answering, Backend, Load, Task};

/// What is known of another server at the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What requests call it.
    pub name: String,
    pub address: Address,
    /// What it knows us by.
    pub key: Option<Key>,
    /// How long it may keep silent.
    pub patience: Duration,
    /// Tokens of an answer.
    pub max_tokens: usize,
    /// Requests at once.
    pub places: usize,
}

/// A secret, which is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Another server, and one of its models or all of them.
#[derive(Debug)]
pub struct OpenAi {
    name: String,
    peer: Peer,
    max_tokens: usize,
    places: Semaphore,
}

impl OpenAi {
    /// Whether it is there shows when it is asked.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings {
            name,
            address,
            key,
            patience,
            max_tokens,
            places,
        } = settings;
        Ok(Self {
            name,
            peer: Peer::new(address, key, patience)?,
            max_tokens,
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
        })
    }

    /// A place for one request.
    fn place(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.places.try_acquire().map_err(|_| {
            Status::resource_exhausted(format!(
                "too many requests are under way to the server at {}",
                self.peer.address
            ))
            .with_hint("try again later, or start this server with a longer --queue")
            .with_retry_after_ms(1000)
        })
    }

    /// What clients call one of its models.
    fn told(&self, model: &str) -> String {
        match self.peer.address.model {
            Some(_) => self.name.clone(),
            None => format!("{}/{model}", self.name),
        }
    }

    /// What `work` gives, unless the request is stopped: then the connection is dropped at once.
    async fn unless_stopped<T>(
        task: &Task,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            () = task.request.cancelled.cancelled() => Err(task.request.stop_status()),
            done = work => done,
        }
    }
}

/// The span of our question in the trace of who asks.
fn trace(task: &Task) -> Option<String> {
    let parent: TraceParent = task.request.meta.traceparent.parse().ok()?;
    Some(parent.child().to_string())
}

impl Backend for OpenAi {
    fn generate<'a>(&'a self, asked: Generate, task: &'a Task) -> Answering<'a, Done> {
        Box::pin(Self::unless_stopped(task, self.write(asked, task)))
    }

    fn embed<'a>(&'a self, asked: Embed, task: &'a Task) -> Answering<'a, Embeddings> {
        Box::pin(Self::unless_stopped(task, self.vectors(asked, task)))
    }

    fn score<'a>(&'a self, _: Score, _: &'a Task) -> Answering<'a, Scores> {
        Box::pin(async {
            Err(
                Status::unimplemented("another server does not tell how probable a given text is")
                    .with_hint("ask a model of this program's own engine"),
            )
        })
    }

    fn about(&self) -> About {
        let state = self.peer.state().clone();
        let mut details = vec![
            ("url", self.peer.address.to_string()),
            (
                "reachable",
                state.problem.map_or("yes".to_owned(), |problem| format!("no: {problem}")),
            ),
            (
                "lost",
                "constraint, prompt format, prefix cache, scores, adapters, argument order, top_k and min_p"
                    .to_owned(),
            ),
            ("max_tokens", self.max_tokens.to_string()),
        ];
        details.extend(state.kind.map(|kind| ("software", kind)));
        About {
            context: 0,
            adapters: Vec::new(),
            memory_bytes: 0,
            details,
        }
    }

    fn load(&self) -> Option<Load> {
        None
    }

    fn names(&self) -> Answering<'_, Vec<String>> {
        Box::pin(self.offered())
    }
}
