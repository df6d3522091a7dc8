//! `/v1/chat/completions`: OpenAI's chat on the protocol's `generate`.

mod answer;

mod request;
mod stream;

use ipc::proto::{Done, Meta, frame::Body};
use serde_json::Value;

use self::{
    answer::{Head, completion},
    request::ChatRequest,
    stream::Chunks,
};
use super::{Front, error::ApiError, events, models, reply, reply::Reply, told};

/// Answers one request.
pub(super) async fn complete(front: &Front, body: Value, meta: Meta) -> Result<Reply, ApiError> {
    let mut request = ChatRequest::read(body)?;
    let meta = Meta {
        timeout_ms: request.timeout_ms,
        ..meta
    };
    request.generate.model = models::named(front, request.generate.model).await?;
    let head = Head::new(request.generate.model.clone());
    let calls: Vec<_> = (request.each().into_iter())
        .map(|generate| front.ask(Body::Generate(generate), meta.clone()))
        .collect();
    if request.generate.stream {
        let chunks = Chunks::new(head, calls.len(), request.include_usage);
        return events::stream(calls, chunks).await;
    }
    let mut dones: Vec<Done> = Vec::new();
    // All are under way; the first that fails ends the others, which are dropped.
    for call in calls {
        dones.push(told::done(call).await?);
    }
    Ok(reply::json(&completion(&head, &dones)))
}
