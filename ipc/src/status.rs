//! Why a request failed, in `google.rpc.Code` words: the one error type that crosses the wire. It exists beside the
//! generated `proto::Error` to be a Rust error with a typed code, and to make writing one a single expression.
use std::fmt;

pub use crate::proto::Code;
use crate::proto::{self, frame::Body};

/// A failed request (or connection): a code, what was wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub code: Code,
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// When to try again; 0: no advice.
    pub retry_after_ms: u32,
}

macro_rules! constructors {
    ($($name:ident $code:ident),* $(,)?) => {$(
        #[doc = concat!("A status with [`Code::", stringify!($code), "`].")]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(Code::$code, message)
        }
    )*};
}

impl Status {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: String::new(),
            retry_after_ms: 0,
        }
    }

    constructors! {
        cancelled Cancelled,
        unknown Unknown,
        invalid_argument InvalidArgument,
        deadline_exceeded DeadlineExceeded,
        not_found NotFound,
        already_exists AlreadyExists,
        permission_denied PermissionDenied,
        resource_exhausted ResourceExhausted,
        failed_precondition FailedPrecondition,
        aborted Aborted,
        out_of_range OutOfRange,
        unimplemented Unimplemented,
        internal Internal,
        unavailable Unavailable,
        data_loss DataLoss,
        unauthenticated Unauthenticated,
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub fn with_retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = ms;
        self
    }

    /// The frame body that carries it.
    pub fn into_body(self) -> Body {
        Body::Error(self.into())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str_name(), self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Status {}

impl From<Status> for proto::Error {
    fn from(status: Status) -> Self {
        Self {
            code: status.code.into(),
            message: status.message,
            hint: status.hint,
            retry_after_ms: status.retry_after_ms,
        }
    }
}

impl From<proto::Error> for Status {
    /// A code that this version does not know, or an error that says OK, is UNKNOWN: it stays a failure.
    fn from(error: proto::Error) -> Self {
        let code = match Code::try_from(error.code) {
            Ok(Code::Ok) | Err(_) => Code::Unknown,
            Ok(code) => code,
        };
        Self {
            code,
            message: error.message,
            hint: error.hint,
            retry_after_ms: error.retry_after_ms,
        }
    }
}
