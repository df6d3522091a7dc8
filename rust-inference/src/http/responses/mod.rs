//! `/v1/responses`: the part of OpenAI's newer API that needs no memory of earlier requests, on the protocol's `generate`.

mod answer;
mod input;
mod request;
mod stream;

use ipc::proto::{Meta, frame::Body};
use serde_json::Value;

use self::{answer::Head, request::ResponseRequest, stream::Steps};
use super::{Front, error::ApiError, events, models, reply, reply::Reply, told};

/// Answers one request.
pub(super) async fn respond(front: &Front, body: Value, meta: Meta) -> Result<Reply, ApiError> {
    let ResponseRequest {
        mut generate,
        timeout_ms,
        echo,
    } = ResponseRequest::read(body)?;
    let meta = Meta { timeout_ms, ..meta };
    generate.model = models::named(front, generate.model).await?;
    let head = Head::new(generate.model.clone(), echo);
    let stream = generate.stream;
    let call = front.ask(Body::Generate(generate), meta);
    let answered = if stream {
        events::stream(vec![call], Steps::new(head)).await
    } else {
        let done = told::done(call).await;
        done.map(|done| reply::json(&head.ended(&done, &head.items(&done)).into()))
    };
    answered.map_err(|error| error.renamed(renamed))
}

/// What the service names as the chat has it, by the name that it has here.
fn renamed(param: &str) -> String {
    let root = param.split(['.', '[']).next().unwrap_or_default();
    match root {
        "messages" => "input",
        "response_format" => "text.format",
        "max_tokens" => "max_output_tokens",
        _ => param,
    }
    .to_owned()
}
