//! The front door for clients of OpenAI's API: HTTP over a Unix socket or TCP. A thin translation: each request becomes one
//! of the protocol's, is served as if it had come over the protocol's own socket, and what the service says becomes JSON or
//! events. The room knows the protocol's messages only, never the engine; what it cannot hand on it refuses by name.

mod asked;
mod body;
mod call;
mod chat;
mod embeddings;
mod endpoint;
mod error;
mod events;
mod fields;
mod guard;
mod ids;
mod messages;
mod models;
mod reply;
mod responses;
mod router;
#[cfg(test)]
mod scripts;
mod serve;
mod state;
mod told;

use std::fmt;

use ipc::{
    proto::{Meta, frame::Body},
    server::{Local, LocalCall, Service},
};
use tokio_util::sync::CancellationToken;

use self::call::Call;
pub use self::{
    endpoint::{Address, Endpoint, EndpointError},
    guard::Key,
    serve::Pages,
};

/// What all doors lead to: the service, and what clients must show.
pub struct Front {
    service: Box<dyn Fn(Body, Meta) -> LocalCall + Send + Sync>,
    key: Option<Key>,
    /// Seconds since 1970.
    started: u64,
    shutdown: CancellationToken,
    /// Fires when requests under way have had their time after `shutdown`.
    late: CancellationToken,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f.debug_struct("Front").field("key", &self.key)).finish_non_exhaustive()
    }
}

impl Front {
    pub fn new<S: Service>(local: Local<S>, key: Option<Key>) -> Self {
        Self {
            shutdown: local.shutdown().clone(),
            service: Box::new(move |body, meta| local.call(body, meta)),
            key,
            started: ids::now(),
            late: CancellationToken::new(),
        }
    }

    fn ask(&self, body: Body, meta: Meta) -> Call {
        Call::new((self.service)(body, meta), self.late.clone())
    }
}
