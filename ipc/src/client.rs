//! The asking end: many requests at once over one connection. Reading and writing run side by side in one task (a
//! client that writes everything before it reads hangs both sides), answers of a caller that is slow to take them are
//! merged, and every call ends: with its answer, with UNAVAILABLE when the server goes, or at its deadline.
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_core::Stream as _;
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{codec::FramedRead, sync::CancellationToken};

use crate::{
    Status,
    codec::{Decoder, Encoding, Flaw},
    frame::MAX_FRAME_BYTES,
    listen,
    outbox::{Outbox, merge},
    proto::{Cancel, Frame, Meta, ToolDecision, ToolRequest, frame::Body},
};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much later than the server the client itself gives up: a server that hangs sends no `DEADLINE_EXCEEDED`.
const DEADLINE_SLACK: Duration = Duration::from_secs(2);
/// How long what was sent last may take to be written after the client was dropped.
const CLOSE_GRACE: Duration = Duration::from_secs(1);
/// Questions of the server that may wait for an answer.
const MAX_ASKS: usize = 64;

/// Why a server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to {}: {source}: is the server running?", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the server on {} runs as another user: it is not trusted", .0.display())]
    Untrusted(PathBuf),
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

/// What has arrived for one call and was not taken.
#[derive(Debug, Default)]
struct Inbox {
    items: Mutex<VecDeque<Result<Body, Status>>>,
    filled: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    fn push(&self, item: Result<Body, Status>) {
        let mut items = locked(&self.items);
        match (items.back_mut(), item) {
            (Some(Ok(Body::Delta(earlier))), Ok(Body::Delta(later))) => merge(earlier, later),
            (_, item) => items.push_back(item),
        }
        drop(items);
        self.filled.notify_one();
    }
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
        let connecting = timeout(limit, connect(path)).await;
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
        tokio::spawn(run(shared.clone(), stream, encoding));
        Ok(Self {
            handle: Arc::new(Handle { shared }),
        })
    }

    /// Sends a request. Waits only while much that was sent before is still unwritten.
    pub async fn call(&self, body: Body, meta: Meta) -> Result<Call, ClientError> {
        let shared = &self.handle.shared;
        shared.outbox.room().await;
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
        let limit = Duration::from_millis(meta.timeout_ms.into());
        let deadline = (meta.timeout_ms > 0).then(|| Instant::now() + limit + DEADLINE_SLACK);
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

/// Tokio's connect, and again while the server's backlog is full.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connected => return connected,
        }
    }
}

/// A request under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub struct Call {
    id: u32,
    inbox: Arc<Inbox>,
    deadline: Option<Instant>,
    ended: bool,
    handle: Arc<Handle>,
}

impl Call {
    /// The request's id on the wire.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The next part of the answer: deltas, then the terminal body or an error, then nothing.
    pub async fn next(&mut self) -> Option<Result<Body, Status>> {
        if self.ended {
            return None;
        }
        let item = loop {
            if let Some(item) = locked(&self.inbox.items).pop_front() {
                break item;
            }
            let late = async {
                match self.deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.inbox.filled.notified() => {}
                () = late => {
                    self.cancel();
                    self.ended = true;
                    return Some(Err(Status::deadline_exceeded("the server did not answer in time")));
                }
            }
        };
        self.ended = item.as_ref().map_or(true, Body::is_terminal);
        Some(item)
    }

    /// Asks the server to stop; the call then ends with CANCELLED, unless it was already ending.
    pub fn stop(&self) {
        self.handle
            .shared
            .outbox
            .push(Frame::new(self.id, Body::Cancel(Cancel {})));
    }

    fn cancel(&self) {
        if locked(&self.handle.shared.calls)
            .open
            .remove(&self.id)
            .is_some()
        {
            self.stop();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}

async fn run(shared: Arc<Shared>, stream: UnixStream, encoding: Encoding) {
    let (reader, writer) = stream.into_split();
    let status = {
        let read = read(&shared, encoding, reader);
        let write = shared.outbox.write_to(writer);
        let abandoned = async {
            shared.closing.cancelled().await;
            tokio::time::sleep(CLOSE_GRACE).await;
        };
        tokio::pin!(read, write);
        tokio::select! {
            status = &mut read => status,
            // A server that does not even read the last cancels.
            () = abandoned => Status::unavailable("the connection was closed"),
            written = &mut write => match written {
                // Nobody is left to hear answers.
                Ok(()) => Status::unavailable("the connection was closed"),
                // What the server said last may still be there to read.
                Err(_) => timeout(Duration::from_millis(100), read).await
                    .unwrap_or_else(|_| Status::unavailable("the server closed the connection")),
            },
        }
    };
    shared.outbox.close();
    let open = {
        let mut calls = locked(&shared.calls);
        calls.closed = Some(status.clone());
        std::mem::take(&mut calls.open)
    };
    for inbox in open.into_values() {
        inbox.push(Err(status.clone()));
    }
}

/// Hands out what arrives until the server goes; says why it ended.
async fn read(shared: &Arc<Shared>, encoding: Encoding, reader: OwnedReadHalf) -> Status {
    let mut frames = FramedRead::new(reader, Decoder::new(encoding, MAX_FRAME_BYTES));
    // What the server said of the connection itself explains its end best.
    let mut last_words = None;
    loop {
        let frame = match std::future::poll_fn(|cx| Pin::new(&mut frames).poll_next(cx)).await {
            Some(Ok(Ok(inbound))) => inbound.frame,
            Some(Ok(Err(Flaw {
                status,
                fatal: true,
                ..
            }))) => {
                return Status::data_loss(format!(
                    "the server sent what is no frame: {}",
                    status.message
                ));
            }
            Some(Ok(Err(Flaw { id, status, .. }))) => {
                let status =
                    Status::data_loss(format!("the server sent a bad frame: {}", status.message));
                Frame::new(id, status.into_body())
            }
            Some(Err(error)) => {
                return last_words.unwrap_or_else(|| {
                    Status::unavailable(format!("the connection broke: {error}"))
                });
            }
            None => {
                return last_words
                    .unwrap_or_else(|| Status::unavailable("the server closed the connection"));
            }
        };
        match frame {
            Frame {
                id: 0,
                body: Some(Body::Error(error)),
                ..
            } => last_words = Some(Status::from(error)),
            Frame {
                id: 0,
                body: Some(Body::GoAway(go_away)),
                ..
            } => {
                last_words = Some(Status::unavailable(format!(
                    "the server is going away: {}",
                    go_away.reason
                )));
            }
            Frame {
                id,
                body: Some(Body::ToolRequest(request)),
                meta,
            } => {
                question(
                    shared,
                    Ask {
                        request,
                        id,
                        meta,
                        shared: shared.clone(),
                    },
                );
            }
            Frame {
                id,
                body: Some(body),
                ..
            } => deliver(shared, id, body),
            Frame { id, body: None, .. } => {
                deliver(
                    shared,
                    id,
                    Status::unimplemented(
                        "the server answered with what this client does not know",
                    )
                    .into_body(),
                );
            }
        }
    }
}

fn deliver(shared: &Shared, id: u32, body: Body) {
    let inbox = {
        let mut calls = locked(&shared.calls);
        if body.is_terminal() {
            calls.open.remove(&id)
        } else {
            calls.open.get(&id).cloned()
        }
    };
    // Late answers of a cancelled call find nobody.
    if let Some(inbox) = inbox {
        inbox.push(match body {
            Body::Error(error) => Err(error.into()),
            body => Ok(body),
        });
    }
}

/// Fails closed: a question that nobody hears is denied.
fn question(shared: &Arc<Shared>, ask: Ask) {
    let unheard = match locked(&shared.asks).as_ref() {
        Some(asks) => asks.try_send(ask).err().map(|error| match error {
            mpsc::error::TrySendError::Full(ask) | mpsc::error::TrySendError::Closed(ask) => ask,
        }),
        None => Some(ask),
    };
    if let Some(ask) = unheard {
        ask.decide(ToolDecision {
            verdict: "deny".to_owned(),
            reason: "this client decides no tool requests".to_owned(),
            ..ToolDecision::default()
        });
    }
}
