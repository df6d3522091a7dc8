//! Text to token ids and back.
//!
//! A prompt mixes text that the template wrote, whose control tokens mean something, with text of a person or a tool,
//! in which the same characters must mean nothing. So control tokens are never looked for in running text: whoever
//! makes a prompt says where they are, as [`Piece`]s.

mod build;
mod compact;
pub mod flat;
mod json;
mod reference;
mod stream;
mod tree;

use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use self::{
    compact::{Compact, SPACE},
    flat::Flat,
    reference::Reference,
};
pub use self::{
    stream::Utf8Stream,
    tree::{Tokens, Tree},
};
use crate::model::LoadError;

/// The control tokens of `FunctionGemma`'s format that a tokenizer may list as ordinary added tokens.
const FORMAT_TOKENS: [&str; 9] = [
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_function_declaration>",
    "<end_function_declaration>",
    "<start_function_call>",
    "<end_function_call>",
    "<start_function_response>",
    "<end_function_response>",
    "<escape>",
];

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Running text; a control token spelt in it is only its letters.
    Text(&'a str),
    /// One control token, by its text.
    Control(&'a str),
}

/// A prompt that this tokenizer cannot encode.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("the model's tokenizer has no token {0}")]
    UnknownControl(String),
    #[error("the model's tokenizer failed: {0}")]
    Library(String),
}

/// A checkpoint's tokenizer.
pub struct Tokenizer {
    texts: Texts,
    controls: HashMap<String, u32>,
    control_texts: HashMap<u32, String>,
    /// Made when they are first asked for, if no file brought them.
    trees: OnceLock<Flat>,
}

/// What turns text without control tokens into ids, and ids into bytes.
enum Texts {
    Compact(Box<Compact>),
    Library(Box<Reference>),
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("compact", &self.flat().is_some())
            .field("controls", &self.controls.len())
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Of a tokenizer.json: compact if it is of the kind that Gemma has, by the library if not. `vocab_size` is the
    /// number of rows of the embedding: no id may reach it.
    pub fn load(json: &[u8], vocab_size: usize) -> Result<Self, LoadError> {
        match build::build(json, vocab_size).and_then(Self::open) {
            Some(compact) => Ok(compact),
            None => Self::by_library(json, vocab_size),
        }
    }

    /// The same by the library, whatever kind it is of.
    pub fn by_library(json: &[u8], vocab_size: usize) -> Result<Self, LoadError> {
        let (reference, controls) = Reference::load(json, vocab_size)?;
        Ok(Self::new(Texts::Library(Box::new(reference)), controls))
    }

    /// Of the arrays that [`Tokenizer::flat`] gave; `None` if they are not those of a tokenizer.
    pub fn open(flat: Flat) -> Option<Self> {
        let compact = Compact::open(flat)?;
        let controls = compact.controls().collect();
        Some(Self::new(Texts::Compact(Box::new(compact)), controls))
    }

    /// With the arrays that [`Tokenizer::trees`] gave.
    #[must_use]
    pub fn with_trees(mut self, trees: Flat) -> Self {
        self.trees = OnceLock::from(trees);
        self
    }

    fn new(texts: Texts, controls: HashMap<String, u32>) -> Self {
        let control_texts = controls.iter().map(|(text, id)| (*id, text.clone()));
        Self {
            texts,
            control_texts: control_texts.collect(),
            controls,
            trees: OnceLock::new(),
        }
    }

    /// The arrays of a compact tokenizer, to be kept.
    pub fn flat(&self) -> Option<&Flat> {
        match &self.texts {
            Texts::Compact(compact) => Some(compact.flat()),
            Texts::Library(_) => None,
        }
    }

    /// What [`Tokenizer::tree`] gives, all of it, to be kept.
    pub fn trees(&self) -> &Flat {
        self.trees.get_or_init(|| tree::build(self))
    }

    /// Tokens by their bytes.
    pub fn tree(&self, tokens: Tokens) -> Tree<'_> {
        Tree::of(self.trees(), tokens)
    }

    /// Bytes of the longest token that is text.
    pub fn longest(&self) -> usize {
        tree::longest(self.trees())
    }

    /// Ids are below this.
    pub fn size(&self) -> usize {
        match &self.texts {
            Texts::Compact(compact) => compact.len(),
            Texts::Library(reference) => reference.len(),
        }
    }

    /// The id of a control token.
    pub fn control(&self, text: &str) -> Option<u32> {
        self.controls.get(text).copied()
    }

    pub fn is_control(&self, id: u32) -> bool {
        self.control_texts.contains_key(&id)
    }

    /// The text of a control token; nothing for any other.
    pub fn control_text(&self, id: u32) -> Option<&str> {
        self.control_texts.get(&id).map(String::as_str)
    }

    /// The ids of a prompt. Neighbouring texts are joined first: where one ends is no border between tokens.
    pub fn encode(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, EncodeError> {
        let mut ids = Vec::new();
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(more) => text.push_str(more),
                Piece::Control(control) => {
                    self.encode_text(&std::mem::take(&mut text), &mut ids)?;
                    ids.push(
                        self.control(control)
                            .ok_or_else(|| EncodeError::UnknownControl((*control).to_owned()))?,
                    );
                }
            }
        }
        self.encode_text(&text, &mut ids)?;
        Ok(ids)
    }

    /// A text whose control tokens are to be honoured, cut into pieces at the first longest match.
    pub fn pieces<'a>(&self, mut text: &'a str) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while let Some(at) = text
            .get(from..)
            .and_then(|rest| rest.find('<'))
            .map(|at| at + from)
        {
            let (before, rest) = text.split_at(at);
            let longest = self
                .controls
                .keys()
                .filter(|token| rest.starts_with(token.as_str()))
                .map(String::len)
                .max();
            if let Some(length) = longest {
                let (control, rest) = rest.split_at(length);
                pieces.extend([Piece::Text(before), Piece::Control(control)]);
                (text, from) = (rest, 0);
            } else {
                from = at + 1;
            }
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(""));
        pieces
    }

    fn encode_text(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        match &self.texts {
            _ if text.is_empty() => Ok(()),
            Texts::Compact(compact) => {
                compact.encode(text, ids);
                Ok(())
            }
            Texts::Library(reference) => reference.encode(text, ids),
        }
    }

    /// The bytes of a token; empty for an id that stands for nothing.
    pub fn bytes(&self, id: u32) -> &[u8] {
        match &self.texts {
            Texts::Compact(compact) => compact.bytes(id),
            Texts::Library(reference) => reference.bytes(id),
        }
    }
}

/// An added token that means something, and is not to be found in any text.
fn is_control(content: &str, special: bool) -> bool {
    special || FORMAT_TOKENS.contains(&content)
}

/// What a token of the vocabulary stands for.
fn token_bytes(token: &str, decodes_spaces: bool) -> Cow<'_, [u8]> {
    if let Some(hex) = (token.strip_prefix("<0x")).and_then(|rest| rest.strip_suffix('>'))
        && hex.len() == 2
        && let Ok(byte) = u8::from_str_radix(hex, 16)
    {
        return Cow::Owned(vec![byte]);
    }
    if decodes_spaces && token.contains(SPACE) {
        Cow::Owned(token.replace(SPACE, " ").into_bytes())
    } else {
        Cow::Borrowed(token.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::Tokenizer as Library;

    const JSON: &[u8] = include_bytes!("../../../models/default/tokenizer.json");

    fn tokenizer() -> Tokenizer {
        Tokenizer::load(JSON, 8192).unwrap()
    }

    fn decode(tokenizer: &Tokenizer, ids: &[u32]) -> String {
        let mut stream = Utf8Stream::default();
        let text: String = ids
            .iter()
            .map(|id| stream.push(tokenizer.bytes(*id)))
            .collect();
        text + &stream.finish()
    }

    #[test]
    fn no_text_gives_a_control_token() {
        let tokenizer = tokenizer();
        for control in tokenizer.controls.keys() {
            let text = format!("a {control}{control} b<{control}");
            let ids = tokenizer.encode(&[Piece::Text(&text)]).unwrap();
            assert!(!ids.iter().any(|id| tokenizer.is_control(*id)), "{control}");
            assert_eq!(decode(&tokenizer, &ids), text);
        }
    }

    #[test]
    fn pieces_give_the_tokens_of_the_whole_prompt() {
        let library: Library = Library::from_bytes(JSON).unwrap();
        let tokenizer = tokenizer();
        let prompt = "<bos><start_of_turn>user\nHow many miles\n\n are 12 km?<end_of_turn>\n<start_of_turn>model\n<sta <<escape>é";
        let pieces = tokenizer.pieces(prompt);
        assert_eq!(
            tokenizer.encode(&pieces).unwrap(),
            library.encode_fast(prompt, false).unwrap().get_ids()
        );
        let split: Vec<Piece<'_>> = pieces
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Text(text) => text
                    .char_indices()
                    .map(|(i, c)| Piece::Text(&text[i..i + c.len_utf8()]))
                    .collect(),
                control @ Piece::Control(_) => vec![control],
            })
            .collect();
        assert_eq!(
            tokenizer.encode(&split).unwrap(),
            library.encode_fast(prompt, false).unwrap().get_ids()
        );
    }

    #[test]
    fn an_unknown_control_is_an_error() {
        let error = tokenizer()
            .encode(&[Piece::Control("<start_of_image>")])
            .unwrap_err();
        assert!(error.to_string().contains("<start_of_image>"));
    }

    #[test]
    fn a_vocabulary_beyond_the_embedding_is_refused() {
        assert!(
            Tokenizer::load(JSON, 100)
                .unwrap_err()
                .to_string()
                .contains("vocabulary of 100")
        );
    }

    proptest! {
        #[test]
        fn text_survives_the_round_trip(text in "\\PC{0,60}|[a-z \n<>é漢🦀]{0,60}") {
            let tokenizer = tokenizer();
            let ids = tokenizer.encode(&[Piece::Text(&text)]).unwrap();
            prop_assert_eq!(decode(&tokenizer, &ids), text);
        }
    }
}
