//! The vocabulary that a GGUF's metadata holds, as a tokenizer.json that cuts text into the same tokens.
//!
//! Gemma's is `SentencePiece`'s: of all neighbouring pieces that make a token, the pair whose token has the best score is
//! joined first. That is what byte-pair encoding does with a list of all such pairs, the best first, and such a list is
//! how transformers writes this vocabulary down, too.

use std::{cmp::Reverse, collections::HashMap};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value as Json, json};

use super::{
    Gguf,
    reader::{Value, Wrong},
};

/// Types of tokens.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// Bytes of a token: all places where it could be cut are tried.
const LONGEST: usize = 1024;

impl<'a> Gguf<'a> {
    pub(super) fn tokens(&self) -> Result<&[&'a str], Wrong> {
        match self.get("tokenizer.ggml.tokens") {
            Some(Value::Texts(tokens)) => Ok(tokens),
            Some(_) => Err("metadata tokenizer.ggml.tokens is not a list of texts".into()),
            None => {
                Err("metadata tokenizer.ggml.tokens is missing: the file has no tokenizer".into())
            }
        }
    }

    /// tokenizer.json.
    pub(in crate::model) fn tokenizer(&self) -> Result<Vec<u8>, Wrong> {
        let tokens = self.tokens()?;
        let ids: HashMap<&str, u32> = (tokens.iter().copied()).zip(0..).collect();
        if ids.len() != tokens.len() {
            return Err("metadata tokenizer.ggml.tokens has a token twice".into());
        }
        let merges = match self.text("tokenizer.ggml.model")? {
            Some("llama") => self.pairs_by_score(tokens, &ids)?,
            // What is made of a checkpoint without tokenizer.model: the pairs are listed.
            Some(_) if ids.contains_key("<0x00>") => self.listed_pairs()?,
            other => {
                return Err(format!(
                    "its tokenizer is of the kind {}, which is not Gemma's; convert the model again from a checkpoint with \
                     tokenizer.model",
                    other.unwrap_or("(none)")
                ));
            }
        };
        if self.get("tokenizer.ggml.add_space_prefix") == Some(&Value::Bool(true)) {
            return Err("its tokenizer puts a space before every text (add_space_prefix), which Gemma's does not".into());
        }
        let kinds = match self.get("tokenizer.ggml.token_type") {
            Some(Value::Integers(kinds)) if kinds.len() == tokens.len() => kinds,
            _ => {
                return Err(format!(
                    "metadata tokenizer.ggml.token_type is not a list of {} integers",
                    tokens.len()
                ));
            }
        };
        let unknown =
            (kinds.iter().position(|kind| *kind == UNKNOWN)).and_then(|id| tokens.get(id));
        let added: Vec<Json> = (tokens.iter().zip(kinds).enumerate())
            .filter(|(_, (_, kind))| [UNKNOWN, CONTROL, USER_DEFINED].contains(kind))
            .map(|(id, (token, kind))| {
                json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": *kind != USER_DEFINED})
            })
            .collect();
        let tokenizer = Document {
            version: "1.0",
            added_tokens: added,
            normalizer: json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
            decoder: json!({"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            ]}),
            model: Bpe {
                kind: "BPE",
                byte_fallback: true,
                fuse_unk: true,
                unk_token: unknown.copied(),
                vocab: InOrder(tokens),
                merges,
            },
        };
        serde_json::to_vec(&tokenizer)
            .map_err(|error| format!("its tokenizer cannot be written: {error}"))
    }

    /// Every pair of tokens that makes a token, those that make the best first. In which order pairs of one token are
    /// joined decides between texts that nobody writes; transformers' order is kept.
    fn pairs_by_score(
        &self,
        tokens: &[&'a str],
        ids: &HashMap<&str, u32>,
    ) -> Result<Vec<(&'a str, &'a str)>, Wrong> {
        let scores = match self.get("tokenizer.ggml.scores") {
            Some(Value::Reals(scores)) if scores.len() == tokens.len() => scores,
            _ => {
                return Err(format!(
                    "metadata tokenizer.ggml.scores is not a list of {} numbers",
                    tokens.len()
                ));
            }
        };
        let mut pairs = Vec::new();
        for (token, score) in tokens.iter().zip(scores) {
            if token.len() > LONGEST {
                return Err(format!(
                    "a token of {} bytes; expected at most {LONGEST}",
                    token.len()
                ));
            }
            if score.is_nan() {
                return Err(format!("the score of token {token} is not a number"));
            }
            let mut of_token: Vec<_> = (token.char_indices().skip(1))
                .filter_map(|(at, _)| {
                    let (left, right) = token.split_at(at);
                    Some((*ids.get(left)?, *ids.get(right)?, left, right))
                })
                .collect();
            of_token.sort_unstable();
            pairs.extend(
                of_token
                    .into_iter()
                    .map(|(_, _, left, right)| (Ordered(*score), left, right)),
            );
        }
        let characters = |text: &str| text.chars().count();
        pairs.sort_by_cached_key(|(score, left, right)| {
            Reverse((*score, characters(left), characters(right)))
        });
        Ok(pairs
            .into_iter()
            .map(|(_, left, right)| (left, right))
            .collect())
    }

    fn listed_pairs(&self) -> Result<Vec<(&'a str, &'a str)>, Wrong> {
        let Some(Value::Texts(pairs)) = self.get("tokenizer.ggml.merges") else {
            return Err("metadata tokenizer.ggml.merges is not a list of texts".into());
        };
        (pairs.iter())
            .map(|pair| {
                pair.split_once(' ').ok_or_else(|| {
                    format!("metadata tokenizer.ggml.merges has {pair:?}, which is no pair")
                })
            })
            .collect()
    }
}

/// tokenizer.json, as far as it is needed. Hundreds of thousands of tokens and pairs are written from where they are.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    added_tokens: Vec<Json>,
    normalizer: Json,
    decoder: Json,
    model: Bpe<'a>,
}

#[derive(Serialize)]
struct Bpe<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    byte_fallback: bool,
    fuse_unk: bool,
    unk_token: Option<&'a str>,
    vocab: InOrder<'a>,
    merges: Vec<(&'a str, &'a str)>,
}

/// Tokens with their ids, so that the same file always gives the same text.
struct InOrder<'a>(&'a [&'a str]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, token) in self.0.iter().enumerate() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

/// A score, which is never NaN.
#[derive(Clone, Copy, PartialEq)]
struct Ordered(f32);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}
