//! Bodies of requests: JSON, of bounded size, in bounded time.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::{Body, Bytes},
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use ipc::frame::DEFAULT_MAX_FRAME_BYTES;
use serde_json::Value;
use tokio::time::timeout;

use super::error::ApiError;

/// As large as a frame of the protocol may be.
const MAX_BYTES: usize = DEFAULT_MAX_FRAME_BYTES as usize;
/// So much of a body that is too large is thrown away, because most clients read no answer before they have written all.
const MAX_WASTE: usize = 16 * MAX_BYTES;
/// How long a client may take to write its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request's JSON.
pub(super) async fn json<B>(headers: &HeaderMap, body: B) -> Result<Value, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    json_within(PATIENCE, headers, body).await
}

async fn json_within<B>(patience: Duration, headers: &HeaderMap, body: B) -> Result<Value, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    check_type(headers)?;
    let bytes = timeout(patience, collect(body)).await.map_err(|_| {
        let message = format!("the body was not there after {patience:?}");
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "invalid_request_error",
            message,
        )
    })??;
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is not JSON: {error}")))
}

/// A page of the web may post forms and plain text to this machine without being asked whether it may; JSON it may not.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |message: &str| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(ApiError::new(status, "invalid_request_error", message))
    };
    let named = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = named(CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return refuse("the body is not said to be JSON: send Content-Type: application/json");
    }
    if headers.contains_key(CONTENT_ENCODING) && named(CONTENT_ENCODING) != Some("identity") {
        return refuse("a compressed body is not supported: send it without Content-Encoding");
    }
    Ok(())
}

async fn collect<B>(mut body: B) -> Result<Vec<u8>, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut bytes = Vec::new();
    let mut size = body.size_hint().lower() as usize;
    let too_large = size > MAX_BYTES;
    if size <= MAX_WASTE {
        size = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(ApiError::bad_request("the body broke off"));
            };
            let Some(data) = frame.data_ref() else {
                continue;
            };
            size += data.len();
            if size > MAX_WASTE {
                break;
            }
            if size <= MAX_BYTES && !too_large {
                bytes.extend_from_slice(data);
            }
        }
    }
    if size > MAX_BYTES {
        let message = format!("the body has more than {MAX_BYTES} bytes: send less");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(
            ApiError::new(status, "invalid_request_error", message).with_code("request_too_large")
        );
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use hyper::{body::Frame, header::HeaderValue};

    use super::*;

    /// A body of which only the beginning ever comes.
    struct Stuck {
        begun: bool,
    }

    impl Body for Stuck {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if std::mem::replace(&mut self.begun, true) {
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))))
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
        let json = HeaderValue::from_static("application/json");
        let headers: HeaderMap = [(CONTENT_TYPE, json)].into_iter().collect();
        let stuck = Stuck { begun: false };
        let error = json_within(Duration::from_millis(20), &headers, stuck).await;
        assert_eq!(error.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
    }
}
