//! `embed` with another server's model.

use ipc::{
    Status,
    proto::{Embed, Embedding, Embeddings, Usage},
};
use serde::Deserialize;
use serde_json::json;

use super::{OpenAi, chunk::Cost, http::Question, trace};
use crate::backend::{
    Task,
    answer::{
        report,
        vectors::{check_texts, make_unit},
    },
};

#[derive(Deserialize)]
#[serde(expecting = "vectors {\"data\": [{\"embedding\": […]}]}")]
struct Found {
    data: Vec<Vector>,
    usage: Option<Cost>,
}

#[derive(Deserialize)]
struct Vector {
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl OpenAi {
    pub(super) async fn vectors(&self, asked: Embed, task: &Task) -> Result<Embeddings, Status> {
        let _place = self.place()?;
        check_texts(&asked.input)?;
        let model = self.model(&asked.model).await?;
        let body = json!({"model": model, "input": asked.input, "encoding_format": "float"});
        let path = self.peer.path("/embeddings");
        let mut answer = self
            .peer
            .ask(Question::Post(path, &body), trace(task))
            .await?;
        let whole = answer.whole().await?;
        let strange = |what: &str| self.peer.strange(what);
        let Found { mut data, usage } = serde_json::from_slice(&whole)
            .map_err(|error| strange(&format!("is not understood: {error}")))?;
        data.sort_by_key(|vector| vector.index);
        let dimensions = data.first().map_or(0, |vector| vector.embedding.len());
        let even = (data.iter()).all(|vector| vector.embedding.len() == dimensions);
        let finite = |vector: &Vector| vector.embedding.iter().all(|value| value.is_finite());
        if data.len() != asked.input.len() || dimensions == 0 || !even || !data.iter().all(finite) {
            return Err(strange("has not one vector of numbers for each text"));
        }
        let cost = usage.unwrap_or_default();
        let alone = data.len() == 1;
        let tokens = cost.prompt_tokens.unwrap_or_default();
        let normalize = asked.normalize.unwrap_or(true);
        let vectors = data.into_iter().map(|vector| {
            let mut values = vector.embedding;
            if normalize {
                make_unit(&mut values);
            }
            Embedding {
                values,
                // Of several only the sum is told.
                tokens: if alone { tokens } else { 0 },
            }
        });
        Ok(Embeddings {
            vectors: vectors.collect(),
            dimensions: dimensions as u32,
            usage: Some(Usage {
                prompt_tokens: tokens,
                ..Usage::default()
            }),
            model: self.told(&model),
            warnings: report::unknown_fields(&task.request).collect(),
        })
    }
}
