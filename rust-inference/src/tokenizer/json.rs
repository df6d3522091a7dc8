//! tokenizer.json as far as the compact tokenizer understands it, read without a copy of its texts. Whatever is not
//! understood is an error here, and then a case for the library.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct Json<'a> {
    #[serde(borrow, default)]
    pub(super) added_tokens: Vec<Added<'a>>,
    #[serde(default)]
    pub(super) normalizer: Value,
    #[serde(default)]
    pub(super) pre_tokenizer: Value,
    #[serde(default)]
    pub(super) decoder: Value,
    #[serde(borrow)]
    pub(super) model: Bpe<'a>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the file's")]
pub(super) struct Added<'a> {
    pub(super) id: u32,
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    #[serde(default)]
    pub(super) special: bool,
    /// Whether more is asked for than that exactly this text be found.
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
}

#[derive(Deserialize)]
pub(super) struct Bpe<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) dropout: Option<f32>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
    #[serde(borrow)]
    pub(super) vocab: Vocab<'a>,
    #[serde(borrow)]
    pub(super) merges: Vec<Merge<'a>>,
}

/// A text that stays in the file, unless something in it is escaped.
#[derive(Deserialize, PartialEq, Eq, Hash)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Tokens with their ids, as they are listed.
pub(super) struct Vocab<'a>(pub(super) Vec<(Text<'a>, u32)>);

impl<'de: 'a, 'a> Deserialize<'de> for Vocab<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vocab<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tokens with their ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Vocab(all))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// What is joined with what: a pair, or both in one text as older files have it.
pub(super) struct Merge<'a>(pub(super) Cow<'a, str>, pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Merge<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Merge<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two tokens")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                let both = two(text).map(|(left, right)| Merge(left.into(), right.into()));
                both.ok_or_else(|| E::custom("not two tokens"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let both = two(text)
                    .map(|(left, right)| Merge(left.to_owned().into(), right.to_owned().into()));
                both.ok_or_else(|| E::custom("not two tokens"))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut next = || seq.next_element::<Text<'de>>();
                match (next()?, next()?, next()?) {
                    (Some(left), Some(right), None) => Ok(Merge(left.0, right.0)),
                    _ => Err(A::Error::custom("not two tokens")),
                }
            }
        }
        from.deserialize_any(Reader)
    }
}

/// The two halves of a text with one space.
fn two(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ')
        .filter(|(_, right)| !right.contains(' '))
}
