//! One call of a server's tool. Its time is bounded by our clock and its server's processor time by the kernel's; which of
//! its calls holds a server cannot be seen from outside, so that one that does not answer then is stopped as a whole.

use std::time::Duration;

use ipc::{
    Status,
    server::{self, Request},
};
use rmcp::{
    model::{
        CallToolRequest, CallToolRequestParams, ClientRequest, JsonObject, PingRequest,
        ServerResult,
    },
    service::{PeerRequestOptions, RequestHandle, ServiceError},
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, sleep_until, timeout},
};

use super::{
    Mounted,
    answer::Answer,
    process::processor_time,
    server::{Server, Session},
};

/// How often the processor time is looked at.
const OFTEN: Duration = Duration::from_millis(100);
/// How long a server may take to show that it lives, when a call's time is up.
const SIGN: Duration = Duration::from_secs(1);

/// What a call used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Mounted {
    /// Runs a call whose arguments fit the tool's schema. An error: it was cancelled.
    pub(crate) async fn call(
        &self,
        arguments: &str,
        wall: Duration,
        request: &Request,
        answer: &server::Answer,
    ) -> Result<(Answer, Used), Status> {
        let started = Instant::now();
        let Some(session) = self.server.session() else {
            return Ok((lost(&self.server), Used::default()));
        };
        let before = session.cpu();
        let done = self
            .run(&session, arguments, started + wall, request, answer)
            .await?;
        let used = Used {
            wall: started.elapsed(),
            cpu: session.cpu().saturating_sub(before),
        };
        Ok((done, used))
    }

    async fn run(
        &self,
        session: &Session,
        arguments: &str,
        deadline: Instant,
        request: &Request,
        answer: &server::Answer,
    ) -> Result<Answer, Status> {
        // They were read as an object when they were checked.
        let arguments: JsonObject = serde_json::from_str(arguments).unwrap_or_default();
        let params = CallToolRequestParams::new(self.tool.name.clone()).with_arguments(arguments);
        let asked = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let (teller, mut news) = mpsc::unbounded_channel();
        let sending = session.hearers.sending.lock().await;
        let sent = session
            .peer
            .send_cancellable_request(asked, PeerRequestOptions::default())
            .await;
        let Ok(mut call) = sent else {
            return Ok(lost(&self.server));
        };
        let _hearing = session.hearers.hear(&call.progress_token, teller);
        drop(sending);
        let limit = Duration::from_secs(self.server.policy.policy.cpu_s);
        let before = session.cpu();
        let mut look = interval(OFTEN);
        loop {
            tokio::select! {
                biased;
                () = request.cancelled.cancelled() => {
                    give_up(call, "the client cancelled the call");
                    return Err(request.stop_status());
                }
                () = sleep_until(deadline) => {
                    give_up(call, "the call's time is up");
                    session.expect_a_sign();
                    let why = "the call was given up when its time was up".to_owned();
                    return Ok(Answer::failed("timeout", "timeout", why));
                }
                Some(delta) = news.recv() => answer.delta(delta),
                answered = &mut call.rx => {
                    return Ok(match answered {
                        Ok(answered) => self.read(answered),
                        Err(_) => lost(&self.server),
                    });
                }
                _ = look.tick() => {
                    if session.cpu().saturating_sub(before) > limit {
                        let why = format!("the server used more than {limit:?} of processor time");
                        session.stop(&format!("it was stopped: in a call {why}"));
                        return Ok(Answer::failed("cpu_limit", "cpu_limit", why));
                    }
                }
            }
        }
    }

    fn read(&self, answered: Result<ServerResult, ServiceError>) -> Answer {
        match answered {
            Ok(ServerResult::CallToolResult(told)) => {
                Answer::of(told, self.tool.output_schema.is_some())
            }
            Ok(_) => Answer::failed(
                "protocol",
                "protocol",
                "the server answered with something else than a result".to_owned(),
            ),
            Err(ServiceError::McpError(error)) => Answer::failed(
                "exception",
                "McpError",
                format!("{} (code {})", error.message, error.code.0),
            ),
            Err(_) => lost(&self.server),
        }
    }
}

fn lost(server: &Server) -> Answer {
    Answer::failed("server_lost", "server_lost", server.why_lost())
}

/// Tells the server, beside everything else: it may not be reading.
fn give_up(call: RequestHandle<rmcp::RoleClient>, why: &str) {
    let why = why.to_owned();
    tokio::spawn(async move { timeout(SIGN, call.cancel(Some(why))).await });
}

impl Session {
    /// Processor time that the server has used.
    fn cpu(&self) -> Duration {
        self.watcher.and_then(processor_time).unwrap_or_default()
    }

    /// Stops the server, unless it answers something.
    fn expect_a_sign(&self) {
        let this = self.clone();
        tokio::spawn(async move {
            let ping = ClientRequest::PingRequest(PingRequest::default());
            // An error is an answer as well.
            if timeout(SIGN, this.peer.send_request(ping)).await.is_err() {
                this.stop("it was stopped: it did not answer when a call's time was up");
            }
        });
    }
}
