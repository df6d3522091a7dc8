//! One request of a client, and what has arrived for it.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{Handle, locked};
use crate::{
    Status,
    outbox::merge,
    proto::{Cancel, Frame, frame::Body},
};

/// How much later than the server the client itself gives up: a server that hangs sends no `DEADLINE_EXCEEDED`.
pub(super) const DEADLINE_SLACK: Duration = Duration::from_secs(2);

/// What has arrived for one call and was not taken.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    items: Mutex<VecDeque<Result<Body, Status>>>,
    filled: Notify,
}

impl Inbox {
    pub(super) fn push(&self, item: Result<Body, Status>) {
        let mut items = locked(&self.items);
        match (items.back_mut(), item) {
            (Some(Ok(Body::Delta(earlier))), Ok(Body::Delta(later))) => merge(earlier, later),
            (_, item) => items.push_back(item),
        }
        drop(items);
        self.filled.notify_one();
    }
}

/// A request under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub struct Call {
    pub(super) id: u32,
    pub(super) inbox: Arc<Inbox>,
    pub(super) deadline: Option<Instant>,
    pub(super) ended: bool,
    pub(super) handle: Arc<Handle>,
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
