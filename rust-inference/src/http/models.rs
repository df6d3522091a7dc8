//! `/v1/models`: what can be asked for.

use ipc::proto::{Meta, ModelInfo, Models, frame::Body};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Front, error::ApiError, told::unexpected};

/// The models' names, and of each under our own key what the API has no field for.
pub(super) async fn list(front: &Front, meta: Meta) -> Result<Value, ApiError> {
    let models = served(front, meta).await?;
    let data: Vec<Value> = models.iter().map(|model| shown(front, model)).collect();
    Ok(json!({"object": "list", "data": data}))
}

/// One of them, by its name as it stands in a path.
pub(super) async fn one(front: &Front, name: &str, meta: Meta) -> Result<Value, ApiError> {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let models = served(front, meta).await?;
    let found = models.iter().find(|model| model.name == name);
    found.map(|model| shown(front, model)).ok_or_else(|| {
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let message = format!(
            "model {name:?} is not served here (there are: {})",
            names.join(", ")
        );
        let status = hyper::StatusCode::NOT_FOUND;
        let mut error = ApiError::new(status, "invalid_request_error", message);
        (error.param, error.code) = (Some("model".to_owned()), Some("model_not_found"));
        error
    })
}

/// The name of the model that answers: the one that was asked for, or the server's default.
pub(super) async fn named(front: &Front, asked: String) -> Result<String, ApiError> {
    if !asked.is_empty() {
        return Ok(asked);
    }
    let models = served(front, Meta::default()).await?;
    let default = models.into_iter().find(|model| model.default);
    Ok(default.map(|model| model.name).unwrap_or_default())
}

async fn served(front: &Front, meta: Meta) -> Result<Vec<ModelInfo>, ApiError> {
    match front
        .ask(Body::Models(Models::default()), meta)
        .done()
        .await?
    {
        Body::ModelList(list) => Ok(list.models),
        other => Err(unexpected(&other)),
    }
}

fn shown(front: &Front, model: &ModelInfo) -> Value {
    json!({
        "id": model.name,
        "object": "model",
        "created": front.started,
        "owned_by": "callspan",
        "callspan": model,
    })
}
