//! Texts that the model only reads: handed to the scheduler, and what it found handed back.

use ipc::{Status, server::Request};
use tokio::sync::oneshot;

use super::Native;
use crate::{
    backend::{answer::report, request::limits},
    scheduler::{Found, Reading, Refused, Stats, Wanted},
};

impl Native {
    pub(super) async fn read(
        &self,
        texts: Vec<Vec<u32>>,
        wanted: Wanted,
        request: &Request,
    ) -> Result<(Vec<Found>, Stats), Status> {
        let (answer, found) = oneshot::channel();
        let reading = Reading {
            texts,
            wanted,
            cancelled: request.cancelled.child_token(),
            answer,
        };
        let _place = (self.scheduler.read(reading)).map_err(|refused| self.refused(refused))?;
        tokio::select! {
            () = request.cancelled.cancelled() => Err(request.stop_status()),
            found = found => {
                found.map_err(|_| report::failed())
            }
        }
    }

    /// What is told to whoever there is no room for.
    pub(super) fn refused(&self, refused: Refused) -> Status {
        limits::refused(refused, self.scheduler.expected_wait())
    }
}
