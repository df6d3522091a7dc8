//! A request to the service on its way. It ends with the client, because it is dropped with the answer, and with the server:
//! whoever still waits when the time to finish is over hears why.

use ipc::{Status, proto::frame::Body, server::LocalCall};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Call {
    inner: LocalCall,
    /// Fires when there is no time left.
    late: CancellationToken,
}

impl Call {
    pub(super) fn new(inner: LocalCall, late: CancellationToken) -> Self {
        Self { inner, late }
    }

    /// The next part of the answer; nothing behind its end.
    pub(super) async fn next(&mut self) -> Option<Result<Body, Status>> {
        tokio::select! {
            biased;
            item = self.inner.next() => item,
            () = self.late.cancelled() => Some(Err(
                Status::unavailable("the server is shutting down").with_retry_after_ms(1000),
            )),
        }
    }

    /// The end of the answer.
    pub(super) async fn done(mut self) -> Result<Body, Status> {
        loop {
            match self.next().await {
                Some(Ok(body)) if body.is_terminal() => return Ok(body),
                Some(Ok(_)) => {}
                Some(Err(status)) => return Err(status),
                None => return Err(Status::internal("the request ended without an answer")),
            }
        }
    }
}
