//! The asking end: many requests at once over one connection. Reading and writing run side by side in one task (a
//! client that writes everything before it reads hangs both sides), answers of a caller that is slow to take them are
//! merged, and every call ends: with its answer, with UNAVAILABLE when the server goes, or at its deadline.
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Status,
    codec::Encoding,
    listen,
    outbox::Outbox,
    proto::{Frame, Meta, ToolDecision, ToolRequest, frame::Body},
};

mod call;
mod driver;

pub use call::Call;
use call::{DEADLINE_SLACK, Inbox};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions of the server that may wait for an answer.
const MAX_ASKS: usize = 64;

/// Why a server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to {}: {source}: is the server running?", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the server on {} runs as another user: it is not trusted", .0.display())]
    Untrusted(PathBuf),
    #[error("the server does not read what was sent to it, and the call's time is up")]
    Stuck,
    /// The connection is closed.
    #[error("{0}")]
    Closed(Status),
}

/// A connection to a server; clones share it. It closes when the last clone and the last call are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.outbox.close();
        self.shared.closing.cancel();
    }
}

#[derive(Debug)]
struct Shared {
    outbox: Outbox,
    calls: Mutex<Calls>,
    next_id: AtomicU32,
    closing: CancellationToken,
    asks: Mutex<Option<mpsc::Sender<Ask>>>,
}

#[derive(Debug, Default)]
struct Calls {
    open: HashMap<u32, Arc<Inbox>>,
    /// Why there will be no more answers.
    closed: Option<Status>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A question of the server to its client, in the course of a call.
#[derive(Debug)]
pub struct Ask {
    pub request: ToolRequest,
    id: u32,
    meta: Option<Meta>,
    shared: Arc<Shared>,
}

impl Ask {
    /// Answers it.
    pub fn decide(self, decision: ToolDecision) {
        self.shared.outbox.push(Frame {
            id: self.id,
            body: Some(Body::ToolDecision(decision)),
            meta: self.meta,
        });
    }
}

impl Client {
    /// Connects, and speaks binary frames.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        Self::connect_with(path, Encoding::Binary, CONNECT_TIMEOUT).await
    }

    /// Connects, and speaks `encoding`; gives up after `limit`.
    pub async fn connect_with(
        path: &Path,
        encoding: Encoding,
        limit: Duration,
    ) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            path: path.to_owned(),
            source,
        };
        let connecting = timeout(limit, driver::connect(path)).await;
        let stream = connecting
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        if !listen::trusted(&stream) {
            return Err(ClientError::Untrusted(path.to_owned()));
        }
        let shared = Arc::new(Shared {
            outbox: Outbox::new(encoding),
            calls: Mutex::default(),
            next_id: AtomicU32::new(1),
            closing: CancellationToken::new(),
            asks: Mutex::default(),
        });
        tokio::spawn(driver::run(shared.clone(), stream, encoding));
        Ok(Self {
            handle: Arc::new(Handle { shared }),
        })
    }

    /// Sends a request. Waits only while much that was sent before is still unwritten.
    pub async fn call(&self, body: Body, meta: Meta) -> Result<Call, ClientError> {
        let shared = &self.handle.shared;
        let limit = Duration::from_millis(meta.timeout_ms.into());
        let deadline = (meta.timeout_ms > 0).then(|| Instant::now() + limit + DEADLINE_SLACK);
        match deadline {
            Some(at) => timeout_at(at, shared.outbox.room())
                .await
                .map_err(|_| ClientError::Stuck)?,
            None => shared.outbox.room().await,
        }
        let inbox = Arc::new(Inbox::default());
        let id = {
            let mut calls = locked(&shared.calls);
            if let Some(status) = &calls.closed {
                return Err(ClientError::Closed(status.clone()));
            }
            let id = loop {
                let id = shared.next_id.fetch_add(2, Ordering::Relaxed);
                if !calls.open.contains_key(&id) {
                    break id;
                }
            };
            calls.open.insert(id, inbox.clone());
            id
        };
        shared.outbox.push(Frame::new(id, body).with_meta(meta));
        Ok(Call {
            id,
            inbox,
            deadline,
            ended: false,
            handle: self.handle.clone(),
        })
    }

    /// Sends a request and gives its terminal answer; deltas are passed over.
    pub async fn ask(&self, body: Body, meta: Meta) -> Result<Body, Status> {
        let mut call = self.call(body, meta).await.map_err(|error| match error {
            ClientError::Closed(status) => status,
            ClientError::Stuck => Status::deadline_exceeded(error.to_string()),
            error => Status::unavailable(error.to_string()),
        })?;
        while let Some(body) = call.next().await {
            let body = body?;
            if body.is_terminal() {
                return Ok(body);
            }
        }
        Err(Status::internal("the call ended without an answer"))
    }

    /// Questions of the server come here from now on; until this is called they are denied.
    pub fn asks(&self) -> mpsc::Receiver<Ask> {
        let (sender, receiver) = mpsc::channel(MAX_ASKS);
        *locked(&self.handle.shared.asks) = Some(sender);
        receiver
    }
}
