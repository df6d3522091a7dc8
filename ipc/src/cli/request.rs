//! A request from the command line: strict, because a mistyped field that is silently ignored costs an hour.
use std::str::FromStr as _;

use serde::de::IgnoredAny;

use super::Fault;
use crate::{
    codec::json,
    proto::{Frame, Meta, frame::Body},
    trace::TraceParent,
};

/// Bodies that a client may send as a request.
pub(super) const METHODS: &[&str] = &[
    "hello",
    "generate",
    "embed",
    "score",
    "call_tool",
    "run_code",
    "list_tools",
    "health",
    "metrics",
    "models",
    "describe",
    "ping",
];

/// The request body for `method` with the fields in `text`.
pub(super) fn body(method: &str, text: &str) -> Result<Body, Fault> {
    if !METHODS.contains(&method) {
        return Err(unknown_method(method));
    }
    let text = if text.trim_ascii().is_empty() {
        "{}"
    } else {
        text
    };
    // Alone first: it must be one JSON value before it is put into a frame.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        let said = error.to_string();
        let said = said
            .rsplit_once(" at line ")
            .map_or(said.as_str(), |(said, _)| said);
        bad_json(error.line(), error.column(), said)
    })?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Fault::usage(
            format!("the fields of {method} are not a JSON object"),
            format!(
                "write them as {{\"field\": value}}; {{}} has none: ipc call SOCKET {method} '{{}}'"
            ),
        ));
    }
    let head = format!("{{\"id\":1,\"{method}\":");
    // A frame is one line; within JSON strings there are no bare line ends.
    let line = format!("{head}{}}}", text.replace(['\n', '\r'], " "));
    let frame = json::decode(&line).map_err(|error| {
        let at = error.column.saturating_sub(head.len());
        let (line, column) = position(text, at);
        bad_json(line, column, &error.message)
    })?;
    let unknown = json::unknown_fields(&line);
    if !unknown.is_empty() {
        return Err(Fault::usage(
            format!("the protocol has no field {}", unknown.join(", ")),
            format!(
                "check the spelling; ipc/proto/callspan/v1/callspan.proto lists the fields of {method}"
            ),
        ));
    }
    match frame {
        Frame {
            body: Some(body), ..
        } => Ok(body),
        Frame { body: None, .. } => Err(unknown_method(method)),
    }
}

/// What accompanies the request.
pub(super) fn meta(timeout_ms: u32, traceparent: Option<&str>) -> Result<Meta, Fault> {
    if let Some(text) = traceparent {
        TraceParent::from_str(text).map_err(|error| {
            Fault::usage(
                format!("--traceparent {text}: {error}"),
                format!("such as --traceparent {}", TraceParent::root()),
            )
        })?;
    }
    Ok(Meta {
        traceparent: traceparent.unwrap_or_default().to_owned(),
        timeout_ms,
    })
}

fn unknown_method(method: &str) -> Fault {
    let all = format!("the methods are {}", METHODS.join(", "));
    let near = METHODS
        .iter()
        .map(|known| (strsim::jaro_winkler(known, method), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let how = near.map_or(all.clone(), |(_, known)| {
        format!("did you mean {known}? {all}")
    });
    if Body::from_name(method).is_some() {
        Fault::usage(
            format!("{method} is no request: it is part of a conversation"),
            all,
        )
    } else {
        Fault::usage(format!("there is no method {method}"), how)
    }
}

fn bad_json(line: usize, column: usize, what: &str) -> Fault {
    Fault::usage(
        format!("bad JSON at line {line}, column {column}: {what}"),
        "mend it there; in a shell, put the JSON into single quotes, or pass - and write it to stdin",
    )
}

/// Line and column, from 1, of the `at`th byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text
        .as_bytes()
        .get(..at.saturating_sub(1))
        .unwrap_or(text.as_bytes());
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_a_body_that_asks() {
        for method in METHODS {
            assert!(!body(method, "").unwrap().is_terminal(), "{method}");
        }
    }

    #[test]
    fn positions_are_those_of_the_text() {
        assert_eq!(position("{\n  \"x\": 1", 5), (2, 3));
        assert_eq!(position("{}", 1), (1, 1));
    }
}
