//! Any tokenizer.json, by the library that these files are made for. It takes seconds and hundreds of megabytes for
//! Gemma's vocabulary, so it is what the compact tokenizer is tested against, and what remains for files that the compact
//! one does not understand.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::Tokenizer as Library;

use super::{EncodeError, is_control, token_bytes};
use crate::model::LoadError;

/// A tokenizer.json without its control tokens: it cannot give one for any text.
pub(super) struct Reference {
    library: Library,
    /// The bytes that each id stands for.
    bytes: Vec<Vec<u8>>,
}

impl Reference {
    /// With the control tokens and their ids.
    pub(super) fn load(
        json: &[u8],
        vocab_size: usize,
    ) -> Result<(Self, HashMap<String, u32>), LoadError> {
        let mut json: Value = serde_json::from_slice(json).map_err(|source| LoadError::Json {
            file: "tokenizer.json",
            source,
        })?;
        let wrong = |what: &str| LoadError::Tokenizer(what.to_owned());
        let added =
            (json.get("added_tokens").and_then(Value::as_array).cloned()).unwrap_or_default();
        let control = |token: &Value| {
            let content = token.get("content").and_then(Value::as_str);
            let special = token.get("special").and_then(Value::as_bool) == Some(true);
            is_control(content.unwrap_or_default(), special)
        };
        let mut controls = HashMap::new();
        for token in added.iter().filter(|token| control(token)) {
            let content = (token.get("content").and_then(Value::as_str))
                .ok_or_else(|| wrong("an added token has no content"))?;
            let id = (token.get("id").and_then(Value::as_u64))
                .ok_or_else(|| wrong("an added token has no id"))?;
            // A text model's files may still name the tokens of pictures that its embedding has no rows for.
            if id < vocab_size as u64 {
                controls.insert(content.to_owned(), id as u32);
            }
        }
        let decodes_spaces = (json.get("decoder")).is_some_and(|d| d.to_string().contains('▁'));
        let rest: Vec<Value> = added.into_iter().filter(|token| !control(token)).collect();
        if let Some(map) = json.as_object_mut() {
            map.insert("added_tokens".to_owned(), Value::Array(rest));
            // What surrounds a text and how long it may be is the prompt's business.
            for part in ["post_processor", "truncation", "padding"] {
                map.insert(part.to_owned(), Value::Null);
            }
        }
        let library: Library = Library::from_bytes(json.to_string())
            .map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        let mut bytes = vec![Vec::new(); vocab_size];
        let vocabulary = (library.get_vocab(true).into_iter())
            .map(|(token, id)| (id, token_bytes(&token, decodes_spaces).into_owned()));
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
        Ok((Self { library, bytes }, controls))
    }

    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), EncodeError> {
        let encoding = (self.library.encode_fast(text, false))
            .map_err(|e| EncodeError::Library(e.to_string()))?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], Vec::as_slice)
    }
}
