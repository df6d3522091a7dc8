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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use ipc::{
        proto::HealthReport,
        server::{Answer, Local, Request, ServerInfo, Service},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Ill;

    impl Service for Ill {
        async fn handle(self: Arc<Self>, _: Request, _: Answer) {}

        fn health(&self) -> HealthReport {
            HealthReport {
                status: "NOT_SERVING".to_owned(),
                details: [("model".to_owned(), "secret".to_owned())].into(),
                ..HealthReport::default()
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_serve_says_so_by_its_status_and_to_strangers_nothing_more() {
        let shutdown = CancellationToken::new();
        let local = Local::new(ServerInfo::default(), Arc::new(Ill), shutdown);
        let front = Front::new(local, None);
        for (trusted, told) in [(true, true), (false, false)] {
            let reply = health(&front, trusted).await.unwrap();
            assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
            let body = reply.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains("NOT_SERVING"));
            assert_eq!(text.contains("secret"), told, "{text}");
        }
    }
}
