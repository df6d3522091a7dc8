//! What stands before an answer: the chat or the prompt of a request, in tokens.

use ipc::{
    Status,
    proto::{Chat, Tool, generate::Input},
};

use crate::{
    functiongemma::{Conversation, Prompt, render},
    tokenizer::{Piece, Tokenizer},
};

pub(in crate::backend) struct Before {
    pub(in crate::backend) conversation: Conversation,
    pub(in crate::backend) tokens: Vec<u32>,
    /// So many tokens at the beginning other questions have too.
    pub(in crate::backend) shared: usize,
    /// The text behind the last control token.
    pub(in crate::backend) text: String,
    /// It was written by hand.
    pub(in crate::backend) raw: bool,
    pub(in crate::backend) warnings: Vec<String>,
}

impl Before {
    /// `method` has this input.
    pub(in crate::backend) fn of(
        method: &str,
        tokenizer: &Tokenizer,
        input: Option<&Input>,
        tools: &[Tool],
    ) -> Result<Self, Status> {
        let chat = match input {
            Some(Input::Chat(chat)) => chat.clone(),
            _ => Chat::default(),
        };
        let conversation =
            Conversation::from_proto(&chat, tools).map_err(|error| invalid(&error))?;
        let (tokens, shared, text, warnings) = match input {
            Some(Input::Chat(_)) => {
                let prompt = render(&conversation).map_err(|error| invalid(&error))?;
                let (tokens, shared) = chat_tokens(&prompt, tokenizer)?;
                let text = last_text(&prompt.pieces()).to_owned();
                (tokens, shared, text, prompt.warnings)
            }
            Some(Input::Prompt(text)) => {
                let pieces = tokenizer.pieces(text);
                let tokens = encode(tokenizer, &pieces)?;
                (tokens, 0, last_text(&pieces).to_owned(), Vec::new())
            }
            None => {
                return Err(Status::invalid_argument(format!(
                    "{method} needs a chat or a prompt"
                ))
                .with_hint(
                    r#"for instance {"chat":{"messages":[{"role":"user","content":"Hello"}]}}"#,
                ));
            }
        };
        if tokens.is_empty() {
            return Err(Status::invalid_argument("the prompt is empty")
                .with_hint("for a text with nothing before it: <bos>"));
        }
        Ok(Self {
            conversation,
            tokens,
            shared,
            text,
            raw: matches!(input, Some(Input::Prompt(_))),
            warnings,
        })
    }
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
    let mut tokens = encode(tokenizer, developer)?;
    let shared = tokens.len();
    tokens.extend(encode(tokenizer, rest)?);
    Ok((tokens, shared))
}

pub(in crate::backend) fn encode(
    tokenizer: &Tokenizer,
    pieces: &[Piece<'_>],
) -> Result<Vec<u32>, Status> {
    tokenizer.encode(pieces).map_err(|error| invalid(&error))
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
