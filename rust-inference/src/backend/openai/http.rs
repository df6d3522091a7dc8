//! One question to another server over HTTP/1.1, and its answer as it comes: bounded in size, and in how long the server may
//! keep silent. Whoever drops an answer drops the connection.

use std::{
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST,
        HeaderValue, USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use ipc::Status;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Key,
    address::Address,
    link::{Dialer, Link},
    refusal,
};

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer; no model writes so much.
const MAX_ANSWER: usize = 32 << 20;
/// Bytes of an error's text that are looked at.
const MAX_ERROR: usize = 64 << 10;

/// Another server.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: Address,
    dialer: Dialer,
    key: Option<Secret>,
    /// How long it may keep silent.
    pub(super) patience: Duration,
    state: Mutex<State>,
}

/// A key, and the header that shows it.
#[derive(Debug)]
struct Secret {
    key: Key,
    header: HeaderValue,
}

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Why it did not answer when it was last asked; nothing: it did.
    pub(super) problem: Option<String>,
    /// What it calls itself.
    pub(super) kind: Option<String>,
}

/// The body of what it is asked.
pub(super) enum Question<'a> {
    Get(String),
    Post(String, &'a Value),
}

impl Peer {
    /// `key`: what it knows us by.
    pub(super) fn new(
        address: Address,
        key: Option<Key>,
        patience: Duration,
    ) -> Result<Self, String> {
        let key = key.map(|key| {
            let mut header = HeaderValue::from_str(&format!("Bearer {}", key.0))
                .map_err(|_| "the key holds characters that no header can".to_owned())?;
            header.set_sensitive(true);
            Ok::<_, String>(Secret { key, header })
        });
        Ok(Self {
            dialer: Dialer::new(address.way.clone())?,
            address,
            key: key.transpose()?,
            patience,
            state: Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of one of `OpenAI`'s methods.
    pub(super) fn path(&self, method: &str) -> String {
        format!("{}{method}", self.address.base)
    }

    /// Asks, and gives the answer if it is a good one. `trace`: the traceparent of who asks.
    pub(super) async fn ask(
        &self,
        question: Question<'_>,
        trace: Option<String>,
    ) -> Result<Answer<'_>, Status> {
        let (method, path, body) = match question {
            Question::Get(path) => (Method::GET, path, None),
            Question::Post(path, body) => (Method::POST, path, Some(body.to_string())),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.host())
            .header(USER_AGENT, concat!("callspan/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, &key.header);
        }
        if let Some(trace) = trace {
            request = request.header("traceparent", trace);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Status::internal(format!("the request cannot be written: {error}")))?;
        let link = timeout(CONNECT.min(self.patience), self.dialer.dial());
        let answered = match link.await {
            Err(_) => Err(self.lost("takes no connection", None)),
            Ok(Err(error)) => Err(self.lost("cannot be reached", Some(&error))),
            Ok(Ok(link)) => match timeout(self.patience, send(link, request)).await {
                Err(_) => Err(self.silent("has not begun to answer")),
                Ok(Err(error)) => Err(self.lost("did not answer", Some(&error))),
                Ok(Ok(answered)) => Ok(answered),
            },
        };
        self.state().problem = answered.as_ref().err().map(|status| status.message.clone());
        let (response, driver) = answered?;
        self.judged(response, driver).await
    }

    /// The answer, if its status and its form are good.
    async fn judged(
        &self,
        response: Response<Incoming>,
        driver: AbortOnDropHandle<()>,
    ) -> Result<Answer<'_>, Status> {
        let (head, body) = response.into_parts();
        let mut answer = Answer {
            peer: self,
            body,
            left: MAX_ANSWER,
            patience: self.patience,
            media: text(head.headers.get(CONTENT_TYPE)).map(|media| {
                let media = media.split(';').next().unwrap_or_default();
                media.trim().to_ascii_lowercase()
            }),
            server: text(head.headers.get("server")).map(str::to_owned),
            _driver: driver,
        };
        if head.status != StatusCode::OK {
            answer.left = MAX_ERROR;
            // What it says beside the status is good to know, and nothing more.
            let said = answer.whole().await.unwrap_or_default();
            let refused = refusal::of(&self.address, head.status, &head.headers, &said);
            return Err(self.hush(refused));
        }
        if let Some(coding) = text(head.headers.get(CONTENT_ENCODING))
            && coding != "identity"
        {
            return Err(self.strange(&format!(
                "is compressed ({coding}), which was not asked for"
            )));
        }
        Ok(answer)
    }

    /// It is not there, or not any more.
    pub(super) fn lost(&self, what: &str, error: Option<&dyn Error>) -> Status {
        let mut message = format!("the server at {} {what}", self.address);
        let mut cause = error;
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Status::unavailable(message)
            .with_hint("see that it runs, and that --model names its URL; then ask again")
    }

    fn silent(&self, what: &str) -> Status {
        Status::unavailable(format!(
            "the server at {} {what} for {}",
            self.address,
            humantime::format_duration(self.patience)
        ))
        .with_hint("see what it is doing; --peer-timeout says how long it may keep silent")
    }

    /// Without the key, which some servers write into their errors.
    pub(super) fn hush(&self, mut status: Status) -> Status {
        if let Some(secret) = &self.key {
            status.message = status.message.replace(&secret.key.0, "…");
            status.hint = status.hint.replace(&secret.key.0, "…");
        }
        status
    }

    /// It says what nobody understands.
    pub(super) fn strange(&self, what: &str) -> Status {
        Status::internal(format!(
            "the answer of the server at {} {what}",
            self.address
        ))
        .with_hint(
            "is it one that speaks OpenAI's HTTP, and is the path right? Most have it at /v1",
        )
    }
}

fn text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok())
}

/// Sends a request; the connection lives as long as what is returned with the response.
async fn send(
    link: Box<dyn Link>,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(Response<Incoming>, AbortOnDropHandle<()>)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(link)).await?;
    let driver = AbortOnDropHandle::new(tokio::spawn(async move {
        // What fails is told to who reads the answer.
        let _ = connection.await;
    }));
    Ok((sender.send_request(request).await?, driver))
}

/// An answer that is still coming.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) peer: &'a Peer,
    body: Incoming,
    /// Bytes that may still come.
    left: usize,
    /// How long the server may keep silent.
    pub(super) patience: Duration,
    /// Of its content type.
    pub(super) media: Option<String>,
    /// What serves, if it tells.
    pub(super) server: Option<String>,
    _driver: AbortOnDropHandle<()>,
}

impl Answer<'_> {
    /// The next portion; nothing at the end.
    pub(super) async fn portion(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            let frame = match timeout(self.patience, self.body.frame()).await {
                Err(_) => {
                    return Err(self
                        .peer
                        .silent("has been silent in the middle of its answer"));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    return Err(self.peer.lost("broke off its answer", Some(&error)));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers say nothing.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.left = match self.left.checked_sub(data.len()) {
                Some(left) => left,
                None => return Err(self.peer.strange("has no end")),
            };
            return Ok(Some(data));
        }
    }

    /// All of it.
    pub(super) async fn whole(&mut self) -> Result<Vec<u8>, Status> {
        let mut whole = Vec::new();
        while let Some(portion) = self.portion().await? {
            whole.extend_from_slice(&portion);
        }
        Ok(whole)
    }
}
