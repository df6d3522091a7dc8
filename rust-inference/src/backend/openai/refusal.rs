//! What another server's refusal means in the protocol's words, with what it says itself and what to do.

use hyper::{
    HeaderMap, StatusCode,
    header::{LOCATION, RETRY_AFTER},
};
use ipc::{Status, proto::Code};
use serde_json::Value;

use super::address::Address;

/// Characters of another server's words that are passed on.
const MAX_WORDS: usize = 400;

/// A status that is no 200, and what was said with it.
pub(super) fn of(
    address: &Address,
    status: StatusCode,
    headers: &HeaderMap,
    said: &[u8],
) -> Status {
    let words = words(said);
    let told = if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    };
    let message = format!("the server at {address} answered {status}{told}");
    let hint = |code, hint: &str| Status::new(code, message.clone()).with_hint(hint);
    match status.as_u16() {
        300..=399 => {
            let place = headers
                .get(LOCATION)
                .map(|place| plain(&String::from_utf8_lossy(place.as_bytes())));
            hint(
                Code::FailedPrecondition,
                &format!(
                    "it points to {}, and redirections are not followed: give --model the right URL",
                    place.unwrap_or_else(|| "another place".to_owned())
                ),
            )
        }
        401 | 403 => hint(
            if status.as_u16() == 401 {
                Code::Unauthenticated
            } else {
                Code::PermissionDenied
            },
            "start rust-inference with its key in CALLSPAN_PEER_API_KEY",
        ),
        404 if words.is_empty() => hint(
            Code::NotFound,
            "is the path in --model right? Most such servers have it at /v1",
        ),
        404 => hint(
            Code::NotFound,
            "`models` tells which models it has; with Ollama, ollama pull MODEL gets one",
        ),
        405 | 501 => hint(Code::Unimplemented, "it cannot do that: ask another model"),
        408 | 504 => hint(Code::Unavailable, "ask again"),
        413 => hint(
            Code::InvalidArgument,
            "shorten the conversation or offer fewer tools",
        ),
        429 => hint(Code::ResourceExhausted, "ask again later").with_retry_after_ms(wait(headers)),
        400..=499 => hint(
            Code::InvalidArgument,
            "change what it does not take, or ask another model",
        ),
        502 | 503 => {
            hint(Code::Unavailable, "ask again when it is ready").with_retry_after_ms(wait(headers))
        }
        _ => hint(Code::Internal, "its own log may say why"),
    }
}

/// An error in the middle of a stream, or in place of an answer.
pub(super) fn told(address: &Address, error: &Value) -> Status {
    Status::internal(format!(
        "the server at {address} failed while it answered: {}",
        phrase(error).unwrap_or_else(|| plain(&error.to_string()))
    ))
    .with_hint("its own log may say why")
}

/// When to ask again, where that is said in seconds.
fn wait(headers: &HeaderMap) -> u32 {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds = seconds.and_then(|text| text.trim().parse::<f64>().ok());
    // Casts of floats do not overflow.
    (seconds.unwrap_or(1.0).max(0.0) * 1000.0) as u32
}

/// What is said in an error's body.
fn words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let trimmed = text.trim();
    match serde_json::from_str::<Value>(trimmed) {
        Ok(value) => phrase(&value).unwrap_or_else(|| plain(trimmed)),
        // A page for people is no help.
        Err(_) if trimmed.starts_with('<') => "a page of HTML".to_owned(),
        Err(_) => plain(trimmed),
    }
}

/// The message of an error, in all forms that are known: `OpenAI`'s, Ollama's, vLLM's, `FastAPI`'s.
fn phrase(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(plain(text)),
        Value::Object(map) => ["error", "message", "detail"]
            .iter()
            .find_map(|key| phrase(map.get(*key)?)),
        _ => None,
    }
}

/// Without what could do something to a terminal, and not too long.
pub(super) fn plain(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.clone().take(MAX_WORDS).collect();
    if clean.count() > MAX_WORDS {
        short.push('…');
    }
    short
}
