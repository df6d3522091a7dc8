//! From a request to what answers it, and what all answers have in common: a request's id, the trace that it belongs to, and
//! JSON even for what there is not.

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Body as HttpBody, Bytes},
    header::{HeaderName, HeaderValue},
};
use ipc::{proto::Meta, trace::TraceParent};

use super::{
    Front, Pages, body, chat, embeddings,
    error::ApiError,
    guard::{Door, check_key, check_source},
    ids::id,
    models,
    reply::{self, Reply},
    responses, state,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Before a model's name.
const MODEL: &str = "/v1/models/";

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Health,
    Metrics,
    Models,
    Model(&'a str),
    Chat,
    Responses,
    Embeddings,
}

impl<'a> Route<'a> {
    fn of(path: &'a str, pages: Pages) -> Result<Self, ApiError> {
        let route = match path {
            "/metrics" => return Ok(Self::Metrics),
            "/health" => Self::Health,
            "/v1/models" => Self::Models,
            "/v1/chat/completions" => Self::Chat,
            "/v1/responses" => Self::Responses,
            "/v1/embeddings" => Self::Embeddings,
            _ => match path.strip_prefix(MODEL).filter(|name| !name.is_empty()) {
                Some(name) => Self::Model(name),
                None => return Err(nothing(path, pages)),
            },
        };
        match pages {
            Pages::All => Ok(route),
            Pages::Metrics => Err(nothing(path, pages)),
        }
    }

    fn posts(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Embeddings)
    }

    fn check_method(self, method: &Method) -> Result<(), ApiError> {
        let allow: &[&str; 2] = if self.posts() {
            &["allow", "POST"]
        } else {
            &["allow", "GET, HEAD"]
        };
        let [_, allowed] = allow;
        if allowed.split(", ").any(|allowed| method == allowed) {
            return Ok(());
        }
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let message = format!("{method} is not possible here: use {allowed}");
        let mut error = ApiError::new(status, "invalid_request_error", message);
        error.header = Some(allow);
        Err(error)
    }
}

fn nothing(path: &str, pages: Pages) -> ApiError {
    let there = match pages {
        Pages::All => {
            "/v1/chat/completions, /v1/responses, /v1/embeddings, /v1/models, /health and /metrics"
        }
        Pages::Metrics => "/metrics",
    };
    let message = format!("there is no {path} here; there are {there}");
    let status = StatusCode::NOT_FOUND;
    ApiError::new(status, "invalid_request_error", message).with_code("unknown_url")
}

/// Answers one request.
pub(super) async fn answer<B>(front: &Front, door: Door, pages: Pages, request: Request<B>) -> Reply
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let traceparent = traceparent(request.headers()).cloned();
    let answered = route(front, door, pages, request).await;
    let mut reply = answered.unwrap_or_else(|error| reply::error(&error));
    let headers = reply.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id("req_")) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent);
    }
    reply
}

/// The trace that a request belongs to; what is none is passed over, as the trace's standard has it.
fn traceparent(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(TRACEPARENT)?;
    let valid = value
        .to_str()
        .is_ok_and(|text| text.parse::<TraceParent>().is_ok());
    valid.then_some(value)
}

async fn route<B>(
    front: &Front,
    door: Door,
    pages: Pages,
    request: Request<B>,
) -> Result<Reply, ApiError>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    // The numbers alone are asked for by scrapers that know no key.
    let key = front.key.as_ref().filter(|_| pages == Pages::All);
    if key.is_none() && door == Door::Machine {
        check_source(&head.uri, head.version, &head.headers)?;
    }
    let shown = check_key(key, &head.headers);
    let route = Route::of(head.uri.path(), pages);
    if !matches!(route, Ok(Route::Health)) {
        shown.clone()?;
    }
    let route = route?;
    route.check_method(&head.method)?;
    let traceparent = traceparent(&head.headers).and_then(|value| value.to_str().ok());
    let meta = Meta {
        traceparent: traceparent.unwrap_or_default().to_owned(),
        timeout_ms: 0,
    };
    match route {
        Route::Health => state::health(front, shown.is_ok()).await,
        Route::Metrics => state::metrics(front).await,
        Route::Models => Ok(reply::json(&models::list(front, meta).await?)),
        Route::Model(name) => Ok(reply::json(&models::one(front, name, meta).await?)),
        Route::Chat => chat::complete(front, body::json(&head.headers, body).await?, meta).await,
        Route::Responses => {
            let body = body::json(&head.headers, body).await?;
            responses::respond(front, body, meta).await
        }
        Route::Embeddings => {
            let body = body::json(&head.headers, body).await?;
            Ok(reply::json(&embeddings::embed(front, body, meta).await?))
        }
    }
}
