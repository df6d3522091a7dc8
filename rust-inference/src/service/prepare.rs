//! From a request to what the model is given: its prompt in tokens, and what may be written behind it.

use std::sync::Arc;

use ipc::{
    Status,
    proto::{Chat, Generate, generate::Input},
};

use super::{
    choice::{self, Form},
    offered::Compiler,
};
use crate::{
    constrain::{Guide, Mode, Unguided},
    functiongemma::{Conversation, Prompt, Toolbox, render},
    model::Model,
    tokenizer::{Piece, Tokenizer},
};

/// A request made ready for the model.
pub(super) struct Prepared {
    pub(super) prompt: Vec<u32>,
    /// So many tokens at the prompt's beginning other questions have too.
    pub(super) shared: usize,
    /// Says what may be written.
    pub(super) guide: Box<dyn Guide>,
    /// Reads the calls out of what was written; nothing where there are none.
    pub(super) toolbox: Option<Arc<Toolbox>>,
    /// Nothing but valid calls can be written.
    pub(super) strict: bool,
    pub(super) warnings: Vec<String>,
}

pub(super) fn prepare(
    model: &Model,
    compiler: &Compiler,
    mut asked: Generate,
) -> Result<Prepared, Status> {
    let form = choice::form(&asked)?;
    let options = choice::options(&asked)?;
    let input = asked.input.take();
    let chat = match &input {
        Some(Input::Chat(chat)) => chat.clone(),
        _ => Chat::default(),
    };
    let conversation =
        Conversation::from_proto(&chat, &asked.tools).map_err(|error| invalid(&error))?;
    let (prompt, shared, before, mut warnings) = match &input {
        Some(Input::Chat(_)) => {
            let prompt = render(&conversation).map_err(|error| invalid(&error))?;
            let (tokens, shared) = chat_tokens(&prompt, &model.tokenizer)?;
            let before = last_text(&prompt.pieces()).to_owned();
            (tokens, shared, before, prompt.warnings)
        }
        Some(Input::Prompt(text)) => {
            let pieces = model.tokenizer.pieces(text);
            let tokens = (model.tokenizer.encode(&pieces)).map_err(|error| invalid(&error))?;
            (tokens, 0, last_text(&pieces).to_owned(), Vec::new())
        }
        None => {
            return Err(
                Status::invalid_argument("generate needs a chat or a prompt").with_hint(
                    r#"for instance {"chat":{"messages":[{"role":"user","content":"Hello"}]}}"#,
                ),
            );
        }
    };
    if prompt.is_empty() {
        return Err(Status::invalid_argument("the prompt is empty"));
    }
    let raw = matches!(input, Some(Input::Prompt(_)));
    let (guide, toolbox, strict): (Box<dyn Guide>, _, _) = match form {
        Form::Json(schema) => {
            let offered = compiler.json(&schema, options)?;
            warnings.extend(offered.warnings());
            let guide = offered.constraint.json(&before).ok_or_else(broken)?;
            (Box::new(guide), None, offered.strict)
        }
        // Whoever writes the prompt by hand, and offers nothing, gets what the model writes.
        Form::Calls { .. } if raw && conversation.tools.is_empty() => {
            (Box::new(Unguided), None, true)
        }
        Form::Calls { mode, most } => {
            // Tools that are not to be called are only told of.
            let callable = match mode {
                Mode::None => &[],
                _ => conversation.tools.as_slice(),
            };
            let offered = compiler.tools(callable, options)?;
            warnings.extend(offered.warnings());
            let guide = offered.constraint.calls(&mode, most, &before);
            let guide = Box::new(guide.ok_or_else(broken)?);
            (guide, Some(offered.toolbox), offered.strict)
        }
    };
    Ok(Prepared {
        prompt,
        shared,
        guide,
        toolbox,
        strict,
        warnings,
    })
}

/// What the answer is to be was checked against what is offered.
fn broken() -> Status {
    Status::internal("the answer's form does not fit what is offered")
}

/// The text behind the last control token.
fn last_text<'a>(pieces: &[Piece<'a>]) -> &'a str {
    match pieces.last() {
        Some(Piece::Text(text)) => text,
        _ => "",
    }
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
