//! One request under way: what its service is given to answer it, and who may end it. Whoever ends it first (the
//! service, the deadline, a cancel, a hang-up) wins; what comes later goes nowhere, so a peer sees exactly one
//! terminal frame.
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use prost::Message as _;
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Status,
    outbox::Outbox,
    proto::{Delta, Frame, Meta, ToolDecision, ToolRequest, frame::Body},
};

/// Requests under way on one connection; more are refused.
const MAX_REQUESTS: usize = 256;
/// Bytes of one request's answer that may wait for a slow reader.
const MAX_PENDING: usize = 4 << 20;

/// Requests under way on one connection, and what the server asks of its client there.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) outbox: Arc<Outbox>,
    requests: Mutex<HashMap<u32, Arc<Active>>>,
    /// Questions that are open; nothing once the client cannot answer any more.
    asks: Mutex<Option<HashMap<u32, oneshot::Sender<ToolDecision>>>>,
    /// A request ended.
    ended: Notify,
    /// One permit for each request whose service has not returned.
    pub(super) slots: Arc<Semaphore>,
    next_ask: AtomicU32,
    next_serial: AtomicU64,
    /// The process at the other end; 0: not known.
    pub(super) client: u32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    pub(super) fn new(outbox: Arc<Outbox>, client: u32) -> Self {
        Self {
            outbox,
            requests: Mutex::default(),
            asks: Mutex::new(Some(HashMap::new())),
            ended: Notify::new(),
            slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
            next_ask: AtomicU32::new(2),
            next_serial: AtomicU64::new(0),
            client,
        }
    }

    /// Opens a request; nothing if its id is under way.
    pub(super) fn open(self: &Arc<Self>, id: u32, meta: Option<Meta>) -> Option<Arc<Active>> {
        let mut requests = locked(&self.requests);
        if requests.contains_key(&id) {
            return None;
        }
        let active = Arc::new(Active {
            id,
            serial: self.next_serial.fetch_add(1, Ordering::Relaxed),
            meta,
            board: self.clone(),
            ended: Mutex::new(false),
            stop: OnceLock::new(),
            cancelled: CancellationToken::new(),
        });
        requests.insert(id, active.clone());
        Some(active)
    }

    pub(super) fn find(&self, id: u32) -> Option<Arc<Active>> {
        locked(&self.requests).get(&id).cloned()
    }

    /// Hands a client's decision to who asked; false if nobody did.
    pub(super) fn decide(&self, id: u32, decision: ToolDecision) -> bool {
        let asked = locked(&self.asks)
            .as_mut()
            .and_then(|asks| asks.remove(&id));
        asked.is_some_and(|asked| asked.send(decision).is_ok())
    }

    /// The client has said its last word: questions, open and new, get no answer.
    pub(super) fn stop_asking(&self) {
        *locked(&self.asks) = None;
    }

    pub(super) fn stop_all(&self, status: &Status) {
        let all: Vec<_> = locked(&self.requests).values().cloned().collect();
        for active in all {
            active.stop(status.clone());
        }
    }

    /// Waits until every request has ended.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if locked(&self.requests).is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// One request under way.
pub(super) struct Active {
    pub(super) id: u32,
    serial: u64,
    /// What every answer carries.
    meta: Option<Meta>,
    board: Arc<Board>,
    /// Its terminal frame was queued. Held while queuing, so that nothing follows the terminal frame.
    ended: Mutex<bool>,
    stop: OnceLock<Status>,
    pub(super) cancelled: CancellationToken,
}

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active")
            .field("id", &self.id)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Active {
    /// Asks the service to end; the first reason stands.
    pub(super) fn stop(&self, status: Status) {
        let _ = self.stop.set(status);
        self.cancelled.cancel();
    }

    pub(super) fn stop_status(&self) -> Status {
        self.stop
            .get()
            .cloned()
            .unwrap_or_else(|| Status::cancelled("the request was cancelled"))
    }

    fn delta(&self, delta: Delta) {
        if delta.encoded_len() == 0 {
            return;
        }
        let pending = {
            let ended = locked(&self.ended);
            if *ended {
                return;
            }
            self.board
                .outbox
                .push_delta(self.serial, self.id, self.meta.as_ref(), delta)
        };
        if pending > MAX_PENDING {
            let status = Status::resource_exhausted(format!(
                "{pending} bytes of the answer wait and are not read"
            ))
            .with_hint("read answers as they come, or ask without stream");
            self.stop(status.clone());
            self.end(status.into_body());
        }
    }

    /// Queues the terminal frame, unless there was one.
    pub(super) fn end(&self, body: Body) {
        let mut ended = locked(&self.ended);
        if std::mem::replace(&mut *ended, true) {
            return;
        }
        // The id is free before its terminal frame can be seen: who sees it may use the id again at once.
        locked(&self.board.requests).remove(&self.id);
        self.board.outbox.push(Frame {
            id: self.id,
            body: Some(body),
            meta: self.meta.clone(),
        });
        self.board.ended.notify_waiters();
    }
}

/// A request to a service.
#[derive(Debug)]
pub struct Request {
    pub id: u32,
    pub body: Body,
    pub meta: Meta,
    /// Fires when there is no use in going on: [`Request::stop_status`] says why.
    pub cancelled: CancellationToken,
    pub deadline: Option<Instant>,
    /// Fields that the request had and the protocol has not, as paths (JSON-lines only). They were ignored.
    pub unknown_fields: Vec<String>,
    /// The process that asks, over however many connections; 0: not known.
    pub client: u32,
    pub(super) active: Arc<Active>,
}

impl Request {
    /// Why `cancelled` fired: CANCELLED, `DEADLINE_EXCEEDED`, UNAVAILABLE (shutdown), or `RESOURCE_EXHAUSTED` (a reader
    /// that does not read).
    pub fn stop_status(&self) -> Status {
        self.active.stop_status()
    }
}

/// Where a service's answer goes. Dropped without an end, it answers INTERNAL.
#[derive(Debug)]
pub struct Answer {
    pub(super) active: Arc<Active>,
}

impl Answer {
    /// Sends a piece of the answer. Never blocks: while the peer does not read, pieces are merged.
    pub fn delta(&self, delta: Delta) {
        self.active.delta(delta);
    }

    /// Ends the request with its answer.
    pub fn finish(self, body: Body) {
        self.active.end(body);
    }

    /// Ends the request with an error.
    pub fn fail(self, status: Status) {
        self.active.end(status.into_body());
    }

    /// Asks the client, and waits for its decision for as long as the request lives. The client may never decide: the
    /// deadline bounds that.
    pub async fn ask(&self, request: ToolRequest) -> Result<ToolDecision, Status> {
        let board = &self.active.board;
        let (sender, receiver) = oneshot::channel();
        // Even and not 0, because it starts at 2 and wraps after 2^31 questions of one connection.
        let id = board.next_ask.fetch_add(2, Ordering::Relaxed);
        let _forget = Forget { board, id };
        let unheard = || Status::unavailable("the client takes no questions any more");
        locked(&board.asks)
            .as_mut()
            .ok_or_else(unheard)?
            .insert(id, sender);
        let body = Body::ToolRequest(ToolRequest {
            parent_id: self.active.id,
            ..request
        });
        board.outbox.push(Frame {
            id,
            body: Some(body),
            meta: self.active.meta.clone(),
        });
        tokio::select! {
            () = self.active.cancelled.cancelled() => Err(self.active.stop_status()),
            decision = receiver => decision.map_err(|_| unheard()),
        }
    }
}

/// Takes a question off the board, however the asking ends.
struct Forget<'a> {
    board: &'a Board,
    id: u32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(asks) = locked(&self.board.asks).as_mut() {
            asks.remove(&self.id);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.active
            .end(Status::internal("the server's handler ended without an answer").into_body());
    }
}
