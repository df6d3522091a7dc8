//! Text to token ids and back.
//!
//! A prompt mixes text that the template wrote, whose control tokens mean something, with text of a person or a tool,
//! in which the same characters must mean nothing. So control tokens are never looked for in running text: whoever
//! makes a prompt says where they are, as [`Piece`]s.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Tokenizer as Library;

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

/// A checkpoint's tokenizer.json.
pub struct Tokenizer {
    /// Without its control tokens: it cannot give one for any text.
    plain: Library,
    controls: HashMap<String, u32>,
    control_texts: HashMap<u32, String>,
    /// The bytes that each id stands for.
    bytes: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// `vocab_size` is the number of rows of the embedding: no id may reach it.
    pub fn load(json: &[u8], vocab_size: usize) -> Result<Self, LoadError> {
        let mut json: Value = serde_json::from_slice(json).map_err(|source| LoadError::Json {
            file: "tokenizer.json",
            source,
        })?;
        let wrong = |what: &str| LoadError::Tokenizer(what.to_owned());
        let added = json
            .get("added_tokens")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let is_control = |token: &Value| {
            let content = token
                .get("content")
                .and_then(Value::as_str)
                .unwrap_or_default();
            token.get("special").and_then(Value::as_bool) == Some(true)
                || FORMAT_TOKENS.contains(&content)
        };
        let mut controls = HashMap::new();
        for token in added.iter().filter(|token| is_control(token)) {
            let content = token
                .get("content")
                .and_then(Value::as_str)
                .ok_or_else(|| wrong("an added token has no content"))?;
            let id = token
                .get("id")
                .and_then(Value::as_u64)
                .ok_or_else(|| wrong("an added token has no id"))?;
            controls.insert(content.to_owned(), id as u32);
        }
        let decodes_spaces = json
            .get("decoder")
            .is_some_and(|decoder| decoder.to_string().contains('▁'));
        let rest: Vec<Value> = added
            .into_iter()
            .filter(|token| !is_control(token))
            .collect();
        if let Some(map) = json.as_object_mut() {
            map.insert("added_tokens".to_owned(), Value::Array(rest));
            // What surrounds a text is the prompt's business.
            map.insert("post_processor".to_owned(), Value::Null);
        }
        let plain: Library = Library::from_bytes(json.to_string())
            .map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        let mut bytes = vec![Vec::new(); vocab_size];
        let vocabulary = plain
            .get_vocab(true)
            .into_iter()
            .map(|(token, id)| (id, token_bytes(&token, decodes_spaces)));
        let controls_bytes = controls
            .iter()
            .map(|(token, id)| (*id, token.clone().into_bytes()));
        for (id, token) in vocabulary.chain(controls_bytes) {
            *bytes.get_mut(id as usize).ok_or_else(|| {
                LoadError::Tokenizer(format!(
                    "token id {id} is not below the model's vocabulary of {vocab_size}"
                ))
            })? = token;
        }
        let texts = controls.iter().map(|(text, id)| (*id, text.clone()));
        Ok(Self {
            plain,
            control_texts: texts.collect(),
            controls,
            bytes,
        })
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
        if !text.is_empty() {
            let encoding = self
                .plain
                .encode_fast(text, false)
                .map_err(|e| EncodeError::Library(e.to_string()))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        Ok(())
    }

    /// The bytes of a token; empty for an id that stands for nothing.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }
}

fn token_bytes(token: &str, decodes_spaces: bool) -> Vec<u8> {
    if let Some(hex) = token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        && hex.len() == 2
        && let Ok(byte) = u8::from_str_radix(hex, 16)
    {
        return vec![byte];
    }
    if decodes_spaces {
        token.replace('▁', " ").into_bytes()
    } else {
        token.as_bytes().to_vec()
    }
}

/// Bytes to text as they come: a character that is not whole yet is held back.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    held: Vec<u8>,
}

impl Utf8Stream {
    /// Adds bytes and gives the text that is whole; bytes that can never become text come out as U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        let mut kept = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            kept = chunk.invalid().len();
            if kept > 0 {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        // Only at the very end can a broken character still be an unfinished one.
        let end = self.held.get(self.held.len() - kept..).unwrap_or_default();
        let unfinished = matches!(std::str::from_utf8(end), Err(e) if e.error_len().is_none());
        if unfinished {
            text.pop();
            self.held.drain(..self.held.len() - kept);
        } else {
            self.held.clear();
        }
        text
    }

    /// What was held back to the end, as U+FFFD.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JSON: &[u8] = include_bytes!("../../models/default/tokenizer.json");

    fn tokenizer() -> Tokenizer {
        Tokenizer::load(JSON, 5133).unwrap()
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

        #[test]
        fn bytes_in_any_portions_give_the_same_text(bytes in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(1usize..5, 0..40)) {
            let mut stream = Utf8Stream::default();
            let (mut text, mut rest) = (String::new(), bytes.as_slice());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                text += &stream.push(head);
                rest = tail;
            }
            text += &stream.push(rest);
            text += &stream.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
