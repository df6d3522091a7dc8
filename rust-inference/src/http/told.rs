//! What the protocol tells at the end of an answer, as both APIs tell it: the end itself, and what only this server has.

use hyper::StatusCode;
use ipc::proto::{Done, Usage, frame::Body};
use serde_json::{Map, Value, json};

use super::{call::Call, error::ApiError};

/// The engine that answered: its answers to the same request may differ from another's.
pub(super) const FINGERPRINT: &str = concat!("callspan-", env!("CARGO_PKG_VERSION"));

/// An answer that came to its end, unless the model wrote what is no valid call. That is no answer: with a schema that could
/// not be guaranteed the model can write what breaks it, and asking again the same would give the same, so it is not among
/// the failures after which clients try again by themselves.
pub(super) fn ended(done: Done) -> Result<Done, ApiError> {
    if done.finish_reason != "invalid_call" {
        return Ok(done);
    }
    let error = done.error.unwrap_or_default();
    let mut told = ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_call",
        format!("{} ({})", error.message, error.hint),
    )
    .with_code("invalid_call");
    told.param = Some("tools".to_owned());
    told.callspan = Some(Box::new(
        json!({"text": done.content, "warnings": done.warnings}),
    ));
    Err(told)
}

/// `callspan`: what the API has no field for.
pub(super) fn extension(done: &Done) -> Value {
    let mut told = Map::new();
    if !done.guarantee.is_empty() {
        told.insert("guarantee".to_owned(), done.guarantee.as_str().into());
    }
    if !done.warnings.is_empty() {
        told.insert("warnings".to_owned(), json!(done.warnings));
    }
    let usage = done
        .usage
        .and_then(|usage| serde_json::to_value(usage).ok());
    told.insert("usage".to_owned(), usage.unwrap_or_default());
    told.into()
}

/// What some answers to one prompt cost together: prompt, cached, written.
pub(super) fn sums(usages: &[Usage]) -> (u32, u32, u32) {
    // They share one prompt; the first may have had to read it for the others.
    let first = usages.first().copied().unwrap_or_default();
    let written = usages.iter().map(|usage| usage.completion_tokens).sum();
    (first.prompt_tokens, first.cached_tokens, written)
}

/// The end of a request whose parts nobody wants by themselves.
pub(super) async fn done(call: Call) -> Result<Done, ApiError> {
    match call.done().await? {
        Body::Done(done) => ended(done),
        other => Err(unexpected(&other)),
    }
}

/// The service answered with what is no answer to what it was asked.
pub(super) fn unexpected(body: &Body) -> ApiError {
    let message = format!("the service answered with {}", body.name());
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
}
