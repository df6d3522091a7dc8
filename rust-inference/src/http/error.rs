//! What goes wrong, as OpenAI's clients read it: a status of HTTP and `{"error": {"message", "type", "param", "code"}}`. Here
//! alone the protocol's words for failures become those of the API.

use hyper::StatusCode;
use ipc::{Status, proto::Code};
use serde_json::{Map, Value, json};

/// nginx's word for a client that did not wait; HTTP has none.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What the protocol calls by another name than this API does, where a message may mention it.
const WORDS: [(&str, &str); 3] = [
    ("set `lenient` to true", "leave `strict` out"),
    ("meta.timeout_ms", "callspan.timeout_ms"),
    ("sampling.", ""),
];

/// The fields that a message of the service may be about.
const PARAMS: [&str; 15] = [
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "logprobs",
    "max_tokens",
    "model",
    "input",
    "parallel_tool_calls",
    "max_calls",
];

/// A refusal or a failure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) code: Option<&'static str>,
    pub(super) param: Option<String>,
    pub(super) message: String,
    /// When to try again; 0: no advice.
    pub(super) retry_after_ms: u32,
    /// More than the API has, under our own key.
    pub(super) callspan: Option<Box<Value>>,
    /// What HTTP says beside this status: a header's name and value.
    pub(super) header: Option<&'static [&'static str; 2]>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            retry_after_ms: 0,
            callspan: None,
            header: None,
        }
    }

    /// The client's mistake, in this field.
    pub(super) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::bad_request(message)
        }
    }

    /// The client's mistake, in no field.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// What this server does not do, and would have to be asked for by this field.
    pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(param, message).with_code("unsupported_parameter")
    }

    #[must_use]
    pub(super) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    #[must_use]
    pub(super) fn renamed(mut self, rename: impl Fn(&str) -> String) -> Self {
        self.param = self.param.map(|param| rename(&param));
        self
    }

    /// The JSON of the answer, or of an event in a stream.
    pub(super) fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("message".to_owned(), self.message.as_str().into());
        error.insert("type".to_owned(), self.kind.into());
        error.insert("param".to_owned(), self.param.as_deref().into());
        error.insert("code".to_owned(), self.code.into());
        if let Some(callspan) = &self.callspan {
            error.insert("callspan".to_owned(), Value::clone(callspan));
        }
        json!({"error": error})
    }
}

impl From<Status> for ApiError {
    fn from(status: Status) -> Self {
        let context = status.message.contains("the model's context");
        let (http, kind, code) = match status.code {
            Code::FailedPrecondition if context => (
                400,
                "invalid_request_error",
                Some("context_length_exceeded"),
            ),
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
                (400, "invalid_request_error", None)
            }
            Code::NotFound if status.message.starts_with("model ") => {
                (404, "invalid_request_error", Some("model_not_found"))
            }
            Code::NotFound => (404, "invalid_request_error", Some("not_found")),
            Code::Unauthenticated => (401, "invalid_request_error", Some("invalid_api_key")),
            Code::PermissionDenied => (403, "permission_error", None),
            Code::AlreadyExists | Code::Aborted => (409, "conflict_error", None),
            Code::ResourceExhausted => (429, "rate_limit_error", Some("rate_limit_exceeded")),
            Code::Cancelled => (CLIENT_CLOSED_REQUEST, "cancelled_error", Some("cancelled")),
            Code::Unimplemented => (501, "server_error", Some("unimplemented")),
            Code::Unavailable => (503, "server_error", Some("unavailable")),
            Code::DeadlineExceeded => (504, "server_error", Some("deadline_exceeded")),
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => {
                (500, "server_error", None)
            }
        };
        let param = (http < 500 && !context)
            .then(|| param(&status.message))
            .flatten();
        let mut message = status.message;
        if !status.hint.is_empty() {
            message = format!("{message} ({})", status.hint);
        }
        for (ours, theirs) in WORDS {
            message = message.replace(ours, theirs);
        }
        Self {
            code,
            param,
            retry_after_ms: status.retry_after_ms,
            ..Self::new(
                StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                kind,
                message,
            )
        }
    }
}

/// The field that a message of the service is about: the place that it begins with, or the first field that it names.
fn param(message: &str) -> Option<String> {
    let of_a_path = |c: char| c.is_ascii_alphanumeric() || "_.[]".contains(c);
    let mut words = message.split(|c: char| !of_a_path(c)).map(|word| {
        let word = word.strip_prefix("sampling.").unwrap_or(word);
        word.trim_end_matches('.')
    });
    let known = |word: &str| {
        let root = word.split(['.', '[']).next().unwrap_or_default();
        PARAMS.contains(&root)
    };
    words.find(|word| known(word)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_protocol_has_its_status() {
        for (code, status) in [
            (Code::InvalidArgument, 400),
            (Code::NotFound, 404),
            (Code::ResourceExhausted, 429),
            (Code::Unavailable, 503),
            (Code::DeadlineExceeded, 504),
            (Code::Unauthenticated, 401),
            (Code::FailedPrecondition, 400),
            (Code::Internal, 500),
            (Code::Cancelled, 499),
            (Code::Unimplemented, 501),
        ] {
            let error = ApiError::from(Status::new(code, "what"));
            assert_eq!(error.status.as_u16(), status, "{code:?}");
        }
        let full = Status::resource_exhausted("full").with_retry_after_ms(1500);
        assert_eq!(ApiError::from(full).retry_after_ms, 1500);
    }

    #[test]
    fn the_field_is_named_that_the_service_means() {
        for (message, expected) in [
            (
                "messages[1].tool_calls[0].arguments: expected a JSON object",
                Some("messages[1].tool_calls[0].arguments"),
            ),
            ("sampling.temperature is 101", Some("temperature")),
            ("17 stop texts; at most 16 are possible", Some("stop")),
            (
                "an answer cannot be both a call and JSON: response_format is json_object",
                Some("response_format"),
            ),
            (
                "the tools cannot be guaranteed: /tools/0/parameters: not",
                Some("tools"),
            ),
            ("nothing of ours", None),
        ] {
            assert_eq!(param(message).as_deref(), expected, "{message}");
        }
    }

    #[test]
    fn a_hint_is_part_of_the_message_in_this_apis_words() {
        let status = Status::invalid_argument("the tools cannot be guaranteed: x").with_hint(
            "simplify the schema there, or set `lenient` to true: what cannot be guaranteed is then only checked",
        );
        let error = ApiError::from(status);
        assert!(
            error.message.contains("or leave `strict` out"),
            "{}",
            error.message
        );
        let late = Status::deadline_exceeded("late").with_hint("give it a larger meta.timeout_ms");
        assert!(ApiError::from(late).message.contains("callspan.timeout_ms"));
    }

    #[test]
    fn a_prompt_that_is_too_long_has_the_code_that_clients_know() {
        let status =
            Status::failed_precondition("the prompt has 9 tokens, the model's context 8, and");
        let error = ApiError::from(status);
        assert_eq!(
            (error.code, error.param),
            (Some("context_length_exceeded"), None)
        );
    }
}
