//! `/health` and `/metrics`: how the server is.

use hyper::{StatusCode, header::HeaderValue};
use ipc::proto::{Health, Meta, Metrics, frame::Body};
use serde_json::json;

use super::{Front, error::ApiError, reply, reply::Reply, told::unexpected};

/// The protocol's report; to whoever has no key only the word that it begins with.
pub(super) async fn health(front: &Front, trusted: bool) -> Result<Reply, ApiError> {
    let answer = front
        .ask(Body::Health(Health {}), Meta::default())
        .done()
        .await?;
    let Body::HealthReport(report) = answer else {
        return Err(unexpected(&answer));
    };
    let mut reply = if trusted {
        reply::json(&json!(report))
    } else {
        reply::json(&json!({"status": report.status}))
    };
    if report.status != "SERVING" {
        *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(reply)
}

pub(super) async fn metrics(front: &Front) -> Result<Reply, ApiError> {
    let answer = front
        .ask(Body::Metrics(Metrics {}), Meta::default())
        .done()
        .await?;
    let Body::MetricsReport(report) = answer else {
        return Err(unexpected(&answer));
    };
    let kind = HeaderValue::from_str(&report.content_type)
        .map_err(|_| ApiError::from(ipc::Status::internal("the metrics have no media type")))?;
    Ok(reply::text(kind, report.text))
}
