//! How many calls may run at once. More of them wait for a place, in the order they came, and too many are refused, so
//! that neither the machine's memory nor a caller's patience is used up unseen.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ipc::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    pub(crate) most: usize,
    most_waiting: usize,
}

/// Counts one who waits, for as long as he does.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    pub(crate) fn new(most: usize, most_waiting: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            waiting: AtomicUsize::new(0),
            most,
            most_waiting,
        }
    }

    /// A place to run in, given back when it is dropped.
    pub(crate) async fn take(&self) -> Result<OwnedSemaphorePermit, Status> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Ok(place);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = Waits(&self.waiting);
        if before >= self.most_waiting {
            return Err(Status::resource_exhausted(format!(
                "{} calls are running and {before} are waiting already",
                self.most
            ))
            .with_hint("try again later, or start the server with a larger --max-calls or --queue")
            .with_retry_after_ms(100));
        }
        self.free
            .clone()
            .acquire_owned()
            .await
            .map_err(|_closed| Status::unavailable("the server is stopping"))
    }

    pub(crate) fn running(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
