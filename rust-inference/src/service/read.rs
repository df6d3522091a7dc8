//! Texts that the model only reads: handed to the scheduler, and what it found handed back.

use std::time::Duration;

use ipc::{Status, server::Request};
use tokio::sync::oneshot;

use super::{Inference, report};
use crate::scheduler::{Found, Full, Reading, Stats, Wanted};

impl Inference {
    pub(super) async fn read(
        &self,
        texts: Vec<Vec<u32>>,
        wanted: Wanted,
        request: &Request,
    ) -> Result<(Vec<Found>, Stats), Status> {
        let tokens: usize = texts.iter().map(Vec::len).sum();
        let (answer, found) = oneshot::channel();
        let reading = Reading {
            texts,
            wanted,
            cancelled: request.cancelled.child_token(),
            answer,
        };
        let _place = (self.scheduler.read(reading)).map_err(|full| self.full(&full))?;
        tokio::select! {
            () = request.cancelled.cancelled() => Err(request.stop_status()),
            found = found => {
                let (found, stats) = found.map_err(|_| report::failed())?;
                self.metrics.read(tokens as u32, &stats);
                Ok((found, stats))
            }
        }
    }

    /// What is told to who came when there was no room.
    pub(super) fn full(&self, full: &Full) -> Status {
        let wait = self.scheduler.expected_wait().max(Duration::from_millis(1));
        Status::resource_exhausted(format!("the queue is full: {full}"))
            .with_hint("try again later, or start the server with a longer --queue")
            .with_retry_after_ms(wait.as_millis() as u32)
    }
}
