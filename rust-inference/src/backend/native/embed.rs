//! `embed`: vectors that stand for texts.

use ipc::{
    Status,
    proto::{Embed, Embedding, Embeddings},
    server::Request,
};

use super::Native;
use crate::{
    backend::{
        answer::{
            report,
            vectors::{check_texts, make_unit},
        },
        request::before::encode,
    },
    model::Model,
    scheduler::{Found, Wanted},
    tokenizer::Piece,
};

impl Native {
    pub(super) async fn vectors(
        &self,
        asked: Embed,
        request: &Request,
    ) -> Result<Embeddings, Status> {
        let normalize = asked.normalize.unwrap_or(true);
        let model = self.model.clone();
        let texts = tokio::task::spawn_blocking(move || tokens(&model, &asked.input))
            .await
            .map_err(|error| Status::internal(format!("preparing the texts failed: {error}")))??;
        let lengths: Vec<u32> = texts.iter().map(|text| text.len() as u32).collect();
        let (found, stats) = self.read(texts, Wanted::Mean, request).await?;
        let vectors = found.into_iter().zip(&lengths).map(|(found, tokens)| {
            let Found::Mean(mut values) = found else {
                return Err(report::failed());
            };
            if !values.iter().all(|value| value.is_finite()) {
                return Err(report::no_number());
            }
            if normalize {
                make_unit(&mut values);
            }
            Ok(Embedding {
                values,
                tokens: *tokens,
            })
        });
        Ok(Embeddings {
            vectors: vectors.collect::<Result<_, _>>()?,
            dimensions: self.model.config.hidden_size as u32,
            usage: Some(report::usage(lengths.iter().sum(), 0, &stats)),
            model: self.model.name.clone(),
            warnings: report::unknown_fields(request).collect(),
        })
    }
}

/// The tokens of each text, behind the one that begins every text in training, if the model has it.
fn tokens(model: &Model, texts: &[String]) -> Result<Vec<Vec<u32>>, Status> {
    check_texts(texts)?;
    let beginning = model.tokenizer.control("<bos>");
    let one = |(index, text): (usize, &String)| {
        let mut tokens: Vec<u32> = beginning.into_iter().collect();
        tokens.extend(encode(&model.tokenizer, &[Piece::Text(text)])?);
        if tokens.is_empty() {
            return Err(Status::invalid_argument(format!(
                "the model's tokenizer has no token for input[{index}]"
            )));
        }
        let (length, context) = (tokens.len(), model.config.context);
        if length > context {
            return Err(Status::failed_precondition(format!(
                "input[{index}] has {length} tokens, the model's context {context}"
            ))
            .with_hint("cut it into parts"));
        }
        Ok(tokens)
    };
    texts.iter().enumerate().map(one).collect()
}
