//! Server-sent events: an answer that is still being made. The status of the answer waits for its first part, so that what
//! fails before anything was written fails with a status of its own; parts are taken one by one as the client reads, so
//! that what it does not read waits where the protocol bounds it; and with the client the requests go.

use std::convert::Infallible;

use futures_util::{
    StreamExt as _,
    stream::{BoxStream, SelectAll, unfold},
};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Response,
    body::{Bytes, Frame},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use ipc::{Status, proto::frame::Body};
use serde_json::Value;

use super::{call::Call, error::ApiError, reply::Reply};

/// Events that are ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Events {
    text: String,
}

impl Events {
    #[cfg(test)]
    pub(super) fn all(&self) -> &str {
        &self.text
    }

    /// An event without a name.
    pub(super) fn data(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    /// An event of a name.
    pub(super) fn named(&mut self, name: &str, value: &Value) {
        self.text.push_str("event: ");
        self.text.push_str(name);
        self.text.push('\n');
        self.data(value);
    }

    /// `text` is one line: JSON has its line breaks escaped.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str("data: ");
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }
}

/// From what the protocol says to an API's events.
pub(super) trait Translate: Send + 'static {
    /// A part of the answer to the request of this index.
    fn item(&mut self, index: usize, body: Body, events: &mut Events) -> Result<(), ApiError>;
    /// All requests have their answers.
    fn end(&mut self, events: &mut Events);
    /// It ends here.
    fn failed(&mut self, error: &ApiError, events: &mut Events);
}

struct Stream<T> {
    parts: SelectAll<BoxStream<'static, (usize, Result<Body, Status>)>>,
    translate: T,
    over: bool,
}

impl<T: Translate> Stream<T> {
    /// The events of the next part of the answer; nothing after the last.
    async fn next(&mut self) -> Result<Option<Events>, ApiError> {
        let mut events = Events::default();
        while !self.over && events.text.is_empty() {
            match self.parts.next().await {
                None => {
                    self.over = true;
                    self.translate.end(&mut events);
                }
                Some((_, Err(status))) => return Err(status.into()),
                Some((index, Ok(body))) => self.translate.item(index, body, &mut events)?,
            }
        }
        Ok((!events.text.is_empty()).then_some(events))
    }

    /// The same where the answer's status was told already: what fails is an event, and the last.
    async fn frame(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Self)> {
        let events = match self.next().await {
            Ok(events) => events?,
            Err(error) => {
                self.over = true;
                // With one of them all of its requests end.
                self.parts.clear();
                let mut events = Events::default();
                self.translate.failed(&error, &mut events);
                events
            }
        };
        Some((Ok(Frame::data(events.text.into())), self))
    }
}

/// The answer to some requests, as it is made.
pub(super) async fn stream(calls: Vec<Call>, translate: impl Translate) -> Result<Reply, ApiError> {
    let parts = calls.into_iter().enumerate().map(|(index, call)| {
        let part = |mut call: Call| async move { Some(((call.next().await?), call)) };
        unfold(call, part).map(move |item| (index, item)).boxed()
    });
    let mut stream = Stream {
        parts: parts.collect(),
        translate,
        over: false,
    };
    let first = stream.next().await?.unwrap_or_default();
    let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from(first.text)))]);
    let body = StreamBody::new(first.chain(unfold(stream, Stream::frame)));
    let mut reply = Response::new(body.boxed_unsync());
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(reply)
}
