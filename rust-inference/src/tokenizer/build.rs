//! Makes the compact tokenizer of a tokenizer.json of the kind that Gemma has, or nothing: a file that asks for more
//! than is understood here is left to the library, never read in part.

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxHashMap;

use serde_json::{Value, json};

use super::{
    compact::{Part, SPACE, bucket, joint_bit},
    flat::{Flat, array, texts},
    is_control,
    json::{Added, Bpe, Json},
    token_bytes,
};

/// Bits of the filter for each pair of characters that is joined somewhere: one pair in sixteen that is not joined
/// anywhere is then taken for one that is, which costs time and changes nothing.
const BITS_A_PAIR: usize = 16;

pub(super) fn build(json: &[u8], vocab_size: usize) -> Option<Flat> {
    let json: Json<'_> = serde_json::from_slice(json).ok()?;
    let spaces = spaces(&json.normalizer)?;
    let pattern = pattern(&json.pre_tokenizer, spaces)?;
    if !plain(&json.model) {
        return None;
    }
    let decodes_spaces = json.decoder.to_string().contains(SPACE);
    let ids = ids(&json.model)?;
    let mut tokens = vec![None; vocab_size];
    for (token, id) in &ids {
        let place = tokens.get_mut(*id as usize)?;
        // Two tokens of one id: which of them it decodes to is not said.
        if place.replace(token_bytes(token, decodes_spaces)).is_some() {
            return None;
        }
    }
    let (mut controls, mut added) = (BTreeMap::new(), BTreeMap::new());
    for token in &json.added_tokens {
        let content = token.content.0.as_ref();
        if is_control(content, token.special) {
            // A text model's files may still name the tokens of pictures that its embedding has no rows for.
            if let Some(place) = tokens.get_mut(token.id as usize) {
                controls.insert(content, token.id);
                *place = Some(content.as_bytes().into());
            }
        } else if found_as_it_is(token) && ids.get(content) == Some(&token.id) {
            added.insert(content, token.id);
        } else {
            return None;
        }
    }
    let bytes: Vec<u32> = (0..=u8::MAX)
        .map(|byte| ids.get(format!("<0x{byte:02X}>").as_str()).copied())
        .collect::<Option<_>>()?;
    let merges = merges(&json.model, &ids, &bytes)?;
    let characters: BTreeMap<u32, u32> = (ids.iter())
        .filter_map(|(token, id)| Some((u32::from(only_character(token)?), *id)))
        .collect();
    let tokens = tokens.iter().map(|token| token.as_deref().unwrap_or(&[]));
    let mut parts = vec![Vec::new(); Part::COUNT];
    let mut put = |part: Part, bytes| {
        if let Some(place) = parts.get_mut(part as usize) {
            *place = bytes;
        }
    };
    put(Part::Spaces, array(spaces.then_some(1)));
    put(Part::Pattern, pattern.into_bytes());
    let [starts, token_bytes] = texts(tokens);
    put(Part::TokenStarts, starts);
    put(Part::TokenBytes, token_bytes);
    put(Part::Characters, array(characters.keys().copied()));
    put(Part::CharacterIds, array(characters.values().copied()));
    put(Part::ByteIds, array(bytes));
    put(Part::Joints, joints(&json.model, &ids));
    let [buckets, entries] = buckets(merges);
    put(Part::Buckets, buckets);
    put(Part::Merges, entries);
    for (listed, [starts, bytes, numbers]) in [
        (added, [Part::AddedStarts, Part::AddedBytes, Part::AddedIds]),
        (
            controls,
            [Part::ControlStarts, Part::ControlBytes, Part::ControlIds],
        ),
    ] {
        let [a, b] = texts(listed.keys().map(|text| text.as_bytes()));
        put(starts, a);
        put(bytes, b);
        put(numbers, array(listed.into_values()));
    }
    Some(Flat::build(&parts))
}

/// Whether spaces become ▁; nothing if the normalizer does anything else.
fn spaces(normalizer: &Value) -> Option<bool> {
    let replaces =
        json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE.to_string()});
    match normalizer {
        Value::Null => Some(false),
        one if *one == replaces => Some(true),
        _ => None,
    }
}

/// What a text is cut by before tokens are looked for, empty for not at all; nothing if it is cut in another way.
fn pattern(pre_tokenizer: &Value, spaces: bool) -> Option<String> {
    let Value::Object(split) = pre_tokenizer else {
        return pre_tokenizer.is_null().then(String::new);
    };
    let is = |key: &str, value: Value| split.get(key) == Some(&value);
    if !is("type", json!("Split")) || !is("invert", json!(false)) {
        return None;
    }
    // Gemma's: there are no spaces left to cut at.
    if spaces && is("pattern", json!({"String": " "})) {
        return Some(String::new());
    }
    let regex = split.get("pattern")?.get("Regex")?.as_str()?;
    (is("behavior", json!("Isolated")) && !regex.is_empty()).then(|| regex.to_owned())
}

/// Nothing but merges, and bytes where there is no token.
fn plain(model: &Bpe<'_>) -> bool {
    let empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
    model.kind == "BPE"
        && model.byte_fallback
        && !model.ignore_merges
        && model.dropout.is_none_or(|dropout| dropout == 0.0)
        && empty(&model.continuing_subword_prefix)
        && empty(&model.end_of_word_suffix)
}

fn found_as_it_is(token: &Added<'_>) -> bool {
    let more = token.single_word || token.lstrip || token.rstrip || token.normalized;
    !more && !token.content.0.is_empty()
}

type Ids<'a> = FxHashMap<&'a str, u32>;

fn ids<'a>(model: &'a Bpe<'_>) -> Option<Ids<'a>> {
    let tokens = &model.vocab.0;
    let ids: Ids<'_> = (tokens.iter())
        .map(|(token, id)| (token.0.as_ref(), *id))
        .collect();
    (ids.len() == tokens.len()).then_some(ids)
}

fn only_character(token: &str) -> Option<char> {
    let mut chars = token.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// By the ids of the pair: its rank and what it becomes. Of a pair that is listed twice, the later one counts.
fn merges(
    model: &Bpe<'_>,
    ids: &Ids<'_>,
    bytes: &[u32],
) -> Option<FxHashMap<(u32, u32), (u32, u32)>> {
    let is_byte: HashSet<_> = bytes.iter().collect();
    let mut joined = String::new();
    let mut merges = FxHashMap::default();
    for (rank, merge) in model.merges.iter().enumerate() {
        joined.clear();
        joined.extend([&*merge.0, &*merge.1]);
        let id = |text: &str| ids.get(text).copied();
        let (left, right) = (id(&merge.0)?, id(&merge.1)?);
        // What stands for a byte is where a text is cut for good.
        if is_byte.contains(&left) || is_byte.contains(&right) {
            return None;
        }
        merges.insert((left, right), (u32::try_from(rank).ok()?, id(&joined)?));
    }
    Some(merges)
}

/// Which characters are joined anywhere, as a filter by the ids of both: where a left part ends and a right one begins.
fn joints(model: &Bpe<'_>, ids: &Ids<'_>) -> Vec<u8> {
    let id = |char: char| ids.get(char.encode_utf8(&mut [0; 4]) as &str).copied();
    let mut distinct: Vec<(u32, u32)> = (model.merges.iter())
        .filter_map(|merge| {
            let left = id(merge.0.chars().next_back()?)?;
            Some((left, id(merge.1.chars().next()?)?))
        })
        .collect();
    distinct.sort_unstable();
    distinct.dedup();
    let bits = (distinct.len() * BITS_A_PAIR).next_power_of_two().max(64);
    let mut filter = vec![0u8; bits / 8];
    for (left, right) in distinct {
        let bit = joint_bit(left, right, bits);
        if let Some(byte) = filter.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    }
    filter
}

/// The merges of each bucket one behind the other, four numbers each; and where buckets begin.
fn buckets(merges: FxHashMap<(u32, u32), (u32, u32)>) -> [Vec<u8>; 2] {
    let count = (merges.len() / 2).next_power_of_two();
    let mut all: Vec<_> = (merges.into_iter())
        .map(|((left, right), (rank, id))| (bucket(left, right, count), [left, right, rank, id]))
        .collect();
    all.sort_unstable();
    let starts = (0..=count).map(|at| all.partition_point(|(of, _)| *of < at) as u32);
    let starts = array(starts);
    [starts, array(all.into_iter().flat_map(|(_, merge)| merge))]
}
