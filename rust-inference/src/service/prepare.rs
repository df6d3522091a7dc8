//! From a request to what the model is given: its prompt in tokens, and what may be written behind it.

use std::sync::Arc;

use ipc::{
    Status,
    proto::{Chat, Generate, generate::Input},
};

use crate::{
    functiongemma::{Conversation, Prompt, Toolbox, render},
    model::Model,
    tokenizer::Tokenizer,
};

/// A request made ready for the model.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) prompt: Vec<u32>,
    /// So many tokens at the prompt's beginning other questions have too.
    pub(super) shared: usize,
    pub(super) toolbox: Option<Arc<Toolbox>>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn prepare(model: &Model, mut asked: Generate) -> Result<Prepared, Status> {
    let input = asked.input.take();
    let chat = match &input {
        Some(Input::Chat(chat)) => chat.clone(),
        _ => Chat::default(),
    };
    let conversation =
        Conversation::from_proto(&chat, &asked.tools).map_err(|error| invalid(&error))?;
    let toolbox = Toolbox::new(&conversation.tools).map_err(|error| invalid(&error))?;
    let (tokens, toolbox, warnings) = match &input {
        Some(Input::Chat(_)) => {
            let prompt = render(&conversation).map_err(|error| invalid(&error))?;
            let tokens = chat_tokens(&prompt, &model.tokenizer)?;
            (tokens, Some(toolbox), prompt.warnings)
        }
        Some(Input::Prompt(text)) => {
            let tokenizer = &model.tokenizer;
            let prompt = tokenizer.encode(&tokenizer.pieces(text));
            let toolbox = (!conversation.tools.is_empty()).then_some(toolbox);
            let prompt = prompt.map_err(|error| invalid(&error))?;
            ((prompt, 0), toolbox, Vec::new())
        }
        None => {
            return Err(
                Status::invalid_argument("generate needs a chat or a prompt").with_hint(
                    r#"for instance {"chat":{"messages":[{"role":"user","content":"Hello"}]}}"#,
                ),
            );
        }
    };
    let (prompt, shared) = tokens;
    if prompt.is_empty() {
        return Err(Status::invalid_argument("the prompt is empty"));
    }
    Ok(Prepared {
        prompt,
        shared,
        toolbox: toolbox.map(Arc::new),
        warnings,
    })
}

/// A chat's tokens, and how many of them are its developer turn's.
fn chat_tokens(prompt: &Prompt, tokenizer: &Tokenizer) -> Result<(Vec<u32>, usize), Status> {
    let pieces = prompt.pieces();
    let (developer, rest) = pieces.split_at(prompt.shared());
    let mut tokens = tokenizer
        .encode(developer)
        .map_err(|error| invalid(&error))?;
    let shared = tokens.len();
    tokens.extend(tokenizer.encode(rest).map_err(|error| invalid(&error))?);
    Ok((tokens, shared))
}

fn invalid(error: &dyn std::error::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_developers_turn_is_told_and_its_tokens_are_those_of_the_whole() {
        let tokenizer = crate::embedded::model().unwrap().tokenizer;
        let tokens = |chat: &str| {
            let prompt = render(&Conversation::from_json(chat).unwrap()).unwrap();
            let (tokens, shared) = chat_tokens(&prompt, &tokenizer).unwrap();
            assert_eq!(tokens, tokenizer.encode(&prompt.pieces()).unwrap());
            (tokens, shared)
        };
        let chat = |question: &str| {
            let tools = r#"[{"name":"f","parameters":{"properties":{"a":{"type":"string"}}}}]"#;
            format!(
                r#"{{"messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"{question}"}}],"tools":{tools}}}"#
            )
        };
        let (one, shared) = tokens(&chat("\\n How many?"));
        let (other, same) = tokens(&chat("Why?"));
        assert_eq!(shared, same);
        assert_eq!(one[..shared], other[..shared]);
        assert_eq!(one[shared - 1], tokenizer.control("<end_of_turn>").unwrap());
        let turns = one
            .iter()
            .filter(|id| tokenizer.control_text(**id) == Some("<end_of_turn>"));
        assert_eq!(
            turns.count(),
            2,
            "the developer's turn ends before the question"
        );
        let bare = r#"{"messages":[{"role":"user","content":"Hello"}]}"#;
        assert_eq!(tokens(bare).1, 0);
    }
}
