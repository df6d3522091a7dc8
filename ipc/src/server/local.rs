//! Calls of a service from its own process: another front door (HTTP) asks as a connection would, and gets what a
//! connection would get, without bytes in between. Deadlines, cancelling, the merging of what is not read yet and the
//! bound on it are therefore the same ones.
use std::{fmt, sync::Arc};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Server, ServerInfo, Service, dispatch::receive, request::Board};
use crate::{
    Status,
    codec::{Encoding, Inbound},
    outbox::Outbox,
    proto::{Frame, Meta, frame::Body},
};

/// The id of the only request of each call's board.
const ID: u32 = 1;

/// A service, to be called from here. Clones share it.
pub struct Local<S> {
    server: Arc<Server<S>>,
    /// The process for which is asked.
    client: u32,
}

impl<S> Clone for Local<S> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            client: self.client,
        }
    }
}

impl<S> fmt::Debug for Local<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f.debug_struct("Local").field("server", &self.server.info)).finish_non_exhaustive()
    }
}

impl<S: Service> Local<S> {
    /// The same arguments as [`super::serve`] has, without a socket.
    pub fn new(info: ServerInfo, service: Arc<S>, shutdown: CancellationToken) -> Self {
        Self {
            server: Arc::new(Server {
                info,
                service,
                started: Instant::now(),
                shutdown,
            }),
            client: std::process::id(),
        }
    }

    /// What is asked is asked for another process: 0 if it is not known.
    #[must_use]
    pub fn for_client(self, client: u32) -> Self {
        Self { client, ..self }
    }

    /// Fires when the server is asked to end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.server.shutdown
    }

    /// Starts a request. Needs a tokio runtime.
    pub fn call(&self, body: Body, meta: Meta) -> LocalCall {
        // Nothing is encoded on the way.
        let outbox = Arc::new(Outbox::new(Encoding::Binary));
        let board = Arc::new(Board::new(outbox.clone(), self.client));
        // There is nobody who could be asked.
        board.stop_asking();
        let inbound = Inbound {
            frame: Frame::new(ID, body).with_meta(meta),
            unknown: Vec::new(),
        };
        receive(&self.server, &board, inbound);
        LocalCall {
            board,
            ended: false,
        }
    }
}

/// A request under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub struct LocalCall {
    board: Arc<Board>,
    ended: bool,
}

impl LocalCall {
    /// The next part of the answer: deltas, then the terminal body or an error, then nothing. What was not taken yet is
    /// one delta.
    pub async fn next(&mut self) -> Option<Result<Body, Status>> {
        if self.ended {
            return None;
        }
        // The board's outbox is never closed: every request has an end.
        let item = match self.board.outbox.next().await?.body? {
            Body::Error(error) => Err(error.into()),
            body => Ok(body),
        };
        self.ended = item.as_ref().map_or(true, Body::is_terminal);
        Some(item)
    }

    /// The terminal answer; deltas are passed over.
    pub async fn done(mut self) -> Result<Body, Status> {
        while let Some(item) = self.next().await {
            match item {
                Ok(body) if body.is_terminal() => return Ok(body),
                Ok(_) => {}
                Err(status) => return Err(status),
            }
        }
        Err(Status::internal("the call ended without an answer"))
    }

    /// Asks the service to stop; the call then ends with this status, unless it was already ending.
    pub fn stop(&self, status: &Status) {
        self.board.stop_all(status);
    }
}

impl Drop for LocalCall {
    fn drop(&mut self) {
        if !self.ended {
            self.stop(&Status::cancelled("the client hung up"));
        }
    }
}
