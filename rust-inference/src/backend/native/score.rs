//! `score`: how probable a text is behind a chat or a prompt.

use ipc::{
    Status,
    proto::{Score, Scores, generate, score::Input},
    server::Request,
};

use super::Native;
use crate::{
    backend::{
        answer::report,
        request::{
            before::{Before, encode},
            limits,
        },
    },
    model::Model,
    scheduler::{Found, Wanted},
};

/// Log probabilities of one answer, those of the most probable tokens included: it must fit into a frame.
const MAX_PROBABILITIES: usize = 1 << 17;

impl Native {
    pub(super) async fn probabilities(
        &self,
        asked: Score,
        request: &Request,
    ) -> Result<Scores, Status> {
        let top = limits::top("top", asked.top)?;
        let model = self.model.clone();
        let (before, completion) = tokio::task::spawn_blocking(move || prepare(&model, asked, top))
            .await
            .map_err(|error| Status::internal(format!("preparing the text failed: {error}")))??;
        let mut warnings = before.warnings;
        warnings.extend(report::unknown_fields(request));
        let behind = before.tokens.len();
        let mut tokens = before.tokens;
        tokens.extend(&completion);
        let wanted = Wanted::Logprobs { behind, top };
        let (found, stats) = self.read(vec![tokens], wanted, request).await?;
        let Some(Found::Logprobs(found)) = found.into_iter().next() else {
            return Err(report::failed());
        };
        if found.iter().any(|one| one.logprob.is_nan()) {
            return Err(report::no_number());
        }
        let tokenizer = &self.model.tokenizer;
        let logprobs: Vec<_> = (completion.iter().zip(found))
            .map(|(id, found)| report::logprob(*id, found, tokenizer))
            .collect();
        let count = logprobs.len() as u32;
        Ok(Scores {
            sum: logprobs.iter().map(|one| f64::from(one.logprob)).sum(),
            logprobs,
            count,
            usage: Some(report::usage(behind as u32, count, &stats)),
            model: self.model.name.clone(),
            warnings,
        })
    }
}

/// What stands before the text, and the text's tokens.
fn prepare(model: &Model, asked: Score, top: usize) -> Result<(Before, Vec<u32>), Status> {
    let input = asked.input.map(|input| match input {
        Input::Chat(chat) => generate::Input::Chat(chat),
        Input::Prompt(prompt) => generate::Input::Prompt(prompt),
    });
    let before = Before::of("score", &model.tokenizer, input.as_ref(), &asked.tools)?;
    let completion = match (asked.completion.as_str(), asked.completion_ids) {
        (text, ids) if ids.is_empty() => encode(&model.tokenizer, &model.tokenizer.pieces(text))?,
        ("", ids) => ids,
        _ => {
            return Err(Status::invalid_argument(
                "completion and completion_ids exclude each other",
            )
            .with_hint("leave one of them out"));
        }
    };
    if completion.is_empty() {
        return Err(Status::invalid_argument("there is no completion to score")
            .with_hint(r#"for instance {"prompt":"<bos>Hello","completion":" world"}"#));
    }
    let vocabulary = model.config.vocab_size;
    if let Some(id) = (completion.iter()).find(|id| **id as usize >= vocabulary) {
        return Err(
            Status::invalid_argument(format!("the model has no token {id}"))
                .with_hint(format!("ids are below {vocabulary}")),
        );
    }
    let (length, count) = (before.tokens.len(), completion.len());
    let context = model.config.context;
    if length + count > context {
        return Err(Status::failed_precondition(format!(
            "the prompt has {length} tokens and the completion {count}, the model's context {context}"
        ))
        .with_hint("shorten either, or score it in parts"));
    }
    if count * (top + 1) > MAX_PROBABILITIES {
        return Err(Status::invalid_argument(format!(
            "{count} tokens with {top} others each are more than an answer holds"
        ))
        .with_hint(format!(
            "ask for a top of at most {}",
            (MAX_PROBABILITIES / count).saturating_sub(1)
        )));
    }
    Ok((before, completion))
}
