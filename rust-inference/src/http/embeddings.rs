//! `/v1/embeddings` on the protocol's `embed`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipc::proto::{Embed, Embedding, Embeddings, Meta, frame::Body};
use serde_json::{Value, json};

use super::{Front, asked::timeout_ms, error::ApiError, fields::Fields, models, told::unexpected};

#[derive(Debug, PartialEq)]
struct Asked {
    embed: Embed,
    base64: bool,
    dimensions: Option<u32>,
    timeout_ms: u32,
}

impl Asked {
    fn read(body: Value) -> Result<Self, ApiError> {
        let mut fields = Fields::of(body, "")?;
        let input = match fields.take("input") {
            None => return Err(fields.wrong("input", "is missing")),
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) if list.is_empty() => {
                return Err(fields.wrong("input", "has no text"));
            }
            Some(Value::Array(list)) => texts(list, &fields)?,
            Some(_) => return Err(fields.wrong("input", "is neither a text nor a list of texts")),
        };
        let encoding = fields.text("encoding_format")?;
        let base64 = match encoding.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err(fields.wrong("encoding_format", "is neither float nor base64")),
        };
        let asked = Self {
            embed: Embed {
                input,
                model: fields.text("model")?.unwrap_or_default(),
                ..Embed::default()
            },
            base64,
            dimensions: fields.count("dimensions", 1..=u32::MAX)?,
            timeout_ms: timeout_ms(&mut fields)?,
        };
        fields.without_effect(&["user"]);
        fields.end()?;
        Ok(asked)
    }
}

fn texts(list: Vec<Value>, fields: &Fields) -> Result<Vec<String>, ApiError> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(fields.unsupported(
            "input",
            "has what is not a text: this server cuts texts into tokens itself",
        )),
    };
    list.into_iter().map(text).collect()
}

pub(super) async fn embed(front: &Front, body: Value, meta: Meta) -> Result<Value, ApiError> {
    let mut asked = Asked::read(body)?;
    asked.embed.model = models::named(front, asked.embed.model).await?;
    let meta = Meta {
        timeout_ms: asked.timeout_ms,
        ..meta
    };
    match front.ask(Body::Embed(asked.embed), meta).done().await? {
        Body::Embeddings(found) => answer(&found, asked.base64, asked.dimensions),
        other => Err(unexpected(&other)),
    }
}

fn answer(found: &Embeddings, base64: bool, dimensions: Option<u32>) -> Result<Value, ApiError> {
    if let Some(asked) = dimensions.filter(|asked| *asked != found.dimensions) {
        let message = format!(
            "dimensions is {asked}, and this model's vectors have {}: leave it out",
            found.dimensions
        );
        return Err(ApiError::unsupported("dimensions", message));
    }
    let vector = |(index, vector): (usize, &Embedding)| {
        let values: Value = if base64 {
            let bytes: Vec<u8> = vector
                .values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            BASE64_STANDARD.encode(bytes).into()
        } else {
            vector.values.as_slice().into()
        };
        json!({"object": "embedding", "index": index, "embedding": values})
    };
    let tokens = found.usage.map_or(0, |usage| usage.prompt_tokens);
    let data: Vec<Value> = found.vectors.iter().enumerate().map(vector).collect();
    let mut answer = json!({
        "object": "list",
        "data": data,
        "model": found.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    });
    if let (Value::Object(answer), false) = (&mut answer, found.warnings.is_empty()) {
        answer.insert("callspan".to_owned(), json!({"warnings": found.warnings}));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_nothing_else() {
        let read = |value: Value| Asked::read(value);
        assert_eq!(read(json!({"input": "a"})).unwrap().embed.input, ["a"]);
        let list =
            json!({"input": ["a", "b"], "encoding_format": "base64", "user": "u", "dimensions": 3});
        let list = read(list).unwrap();
        assert_eq!(
            (list.embed.input.len(), list.base64, list.dimensions),
            (2, true, Some(3))
        );
        for (value, param) in [
            (json!({}), "input"),
            (json!({"input": [1, 2]}), "input"),
            (json!({"input": [[1, 2]]}), "input"),
            (
                json!({"input": "a", "encoding_format": "int8"}),
                "encoding_format",
            ),
            (json!({"input": "a", "dimensions": 0}), "dimensions"),
            (json!({"input": "a", "magic": 0}), "magic"),
        ] {
            assert_eq!(read(value).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn both_encodings_hold_the_same_numbers() {
        let found = Embeddings {
            vectors: vec![Embedding {
                values: vec![0.1, -2.5],
                tokens: 1,
            }],
            dimensions: 2,
            ..Embeddings::default()
        };
        let floats = answer(&found, false, Some(2)).unwrap();
        assert_eq!(floats["data"][0]["embedding"].to_string(), "[0.1,-2.5]");
        let text = answer(&found, true, None).unwrap()["data"][0]["embedding"].clone();
        let bytes = BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap();
        let values: Vec<f32> = (bytes.chunks(4))
            .map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap()))
            .collect();
        assert_eq!(values, found.vectors[0].values);
        let other = answer(&found, false, Some(3)).unwrap_err();
        assert_eq!(other.param.as_deref(), Some("dimensions"));
    }
}
