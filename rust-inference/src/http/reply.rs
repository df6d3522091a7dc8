//! Answers of HTTP: JSON, whole or as an error.

use std::convert::Infallible;

use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Response,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;

use super::error::ApiError;

/// An answer, whole or still being made.
pub(super) type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What `OpenAI`'s clients look at before `Retry-After`, which knows whole seconds only.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

pub(super) fn text(kind: HeaderValue, text: String) -> Reply {
    let mut reply = Response::new(Full::from(text).boxed_unsync());
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

pub(super) fn json(value: &Value) -> Reply {
    text(
        HeaderValue::from_static("application/json"),
        value.to_string(),
    )
}

pub(super) fn error(error: &ApiError) -> Reply {
    let mut reply = json(&error.body());
    *reply.status_mut() = error.status;
    let headers = reply.headers_mut();
    if let Some([name, value]) = error.header {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if error.retry_after_ms > 0 {
        let seconds = error.retry_after_ms.div_ceil(1000);
        headers.insert(RETRY_AFTER, seconds.into());
        headers.insert(RETRY_AFTER_MS, error.retry_after_ms.into());
    }
    reply
}
