//! The task behind a client's connection: writes what waits, hands out what arrives, and ends every open call when the
//! connection ends.
use std::{io, path::Path, pin::Pin, sync::Arc, time::Duration};

use futures_core::Stream as _;
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    sync::mpsc,
    time::timeout,
};
use tokio_util::codec::FramedRead;

use super::{Ask, Shared, locked};
use crate::{
    Status,
    codec::{Decoder, Encoding, Flaw},
    frame::MAX_FRAME_BYTES,
    proto::{Frame, ToolDecision, frame::Body},
};

/// How long what was sent last may take to be written after the client was dropped.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Tokio's connect, and again while the server's backlog is full.
pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connected => return connected,
        }
    }
}

pub(super) async fn run(shared: Arc<Shared>, stream: UnixStream, encoding: Encoding) {
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
