//! A tokenizer of the kind that Gemma has, as flat arrays: opened in no time, used where they lie. Gives the ids that
//! the library gives, which the tests hold it to.
//!
//! A text is first cut at the added tokens, then between characters that no merge joins (a word's ▁ and what stands
//! before it, mostly): what is left are short segments, and what is merged in one cannot depend on another.

use std::{cmp::Reverse, collections::BinaryHeap};

use fancy_regex::Regex;

use super::flat::{Flat, Numbers, number, text};

/// What spaces are in tokens.
pub(super) const SPACE: char = '▁';

/// No symbol.
const NONE: u32 = u32::MAX;

/// The arrays.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Empty if spaces stay spaces.
    Spaces,
    /// A regular expression that texts are cut by; empty for none.
    Pattern,
    TokenStarts,
    TokenBytes,
    /// Characters that are tokens, ascending, and their ids.
    Characters,
    CharacterIds,
    ByteIds,
    /// A filter of pairs of characters that a merge may join.
    Joints,
    /// Where each bucket of merges begins; and left, right, rank, result of each merge.
    Buckets,
    Merges,
    /// Looked for in a text before anything else, sorted.
    AddedStarts,
    AddedBytes,
    AddedIds,
    ControlStarts,
    ControlBytes,
    ControlIds,
}

impl Part {
    pub(super) const COUNT: usize = Self::ControlIds as usize + 1;
}

pub(super) struct Compact {
    flat: Flat,
    pattern: Option<Regex>,
    /// Bytes that an added token begins with.
    begins_added: [bool; 256],
}

/// A token of the text, until it is merged with its neighbours.
#[derive(Clone, Copy)]
struct Symbol {
    /// [`NONE`] if it became part of the one before.
    id: u32,
    before: u32,
    behind: u32,
}

/// What is needed for one segment, kept for the next.
#[derive(Default)]
struct Work {
    symbols: Vec<Symbol>,
    /// By rank, then by place: what could be merged, and what it would become.
    waiting: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

impl Compact {
    /// `None` if these are not the arrays of a tokenizer.
    pub(super) fn open(flat: Flat) -> Option<Self> {
        let pattern = std::str::from_utf8(flat.part(Part::Pattern as usize)).ok()?;
        let pattern = (!pattern.is_empty()).then(|| Regex::new(pattern));
        let mut compact = Self {
            pattern: pattern.transpose().ok()?,
            flat,
            begins_added: [false; 256],
        };
        if compact.numbers(Part::ByteIds).len() != 256 {
            return None;
        }
        for at in 0..compact.numbers(Part::AddedIds).len() {
            let first = *compact.added(at).first()?;
            *compact.begins_added.get_mut(usize::from(first))? = true;
        }
        Some(compact)
    }

    pub(super) fn flat(&self) -> &Flat {
        &self.flat
    }

    pub(super) fn len(&self) -> usize {
        self.numbers(Part::TokenStarts).len().saturating_sub(1)
    }

    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        let starts = self.numbers(Part::TokenStarts);
        text(starts, self.part(Part::TokenBytes), id as usize).unwrap_or_default()
    }

    /// The control tokens and their ids.
    pub(super) fn controls(&self) -> impl Iterator<Item = (String, u32)> {
        let starts = self.numbers(Part::ControlStarts);
        let ids = self.numbers(Part::ControlIds).iter().enumerate();
        ids.filter_map(move |(at, id)| {
            let text = text(starts, self.part(Part::ControlBytes), at)?;
            let text = String::from_utf8_lossy(text).into_owned();
            Some((text, u32::from_le_bytes(*id)))
        })
    }

    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let work = &mut Work::default();
        let bytes = text.as_bytes();
        let (mut from, mut at) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            let begins = self.begins_added.get(usize::from(*byte)) == Some(&true);
            let found = begins.then(|| self.longest_added(bytes.get(at..).unwrap_or_default()));
            if let Some((length, id)) = found.flatten() {
                self.cut(text.get(from..at).unwrap_or_default(), work, ids);
                ids.push(id);
                at += length;
                from = at;
            } else {
                at += 1;
            }
        }
        self.cut(text.get(from..).unwrap_or_default(), work, ids);
    }

    fn part(&self, part: Part) -> &[u8] {
        self.flat.part(part as usize)
    }

    fn numbers(&self, part: Part) -> Numbers<'_> {
        self.flat.numbers(part as usize)
    }

    fn added(&self, at: usize) -> &[u8] {
        let starts = self.numbers(Part::AddedStarts);
        text(starts, self.part(Part::AddedBytes), at).unwrap_or_default()
    }

    /// Length and id of the longest added token that the text begins with.
    fn longest_added(&self, text: &[u8]) -> Option<(usize, u32)> {
        let ids = self.numbers(Part::AddedIds);
        let (mut low, mut high) = (0, ids.len());
        let mut longest = None;
        // All tokens between the bounds begin with the first bytes of the text; of those the shortest stands first.
        for (length, byte) in text.iter().enumerate() {
            let next = |at: usize| self.added(at).get(length);
            low = partition(low, high, |at| next(at) < Some(byte));
            high = partition(low, high, |at| next(at) <= Some(byte));
            if low == high {
                break;
            }
            if self.added(low).len() == length + 1 {
                longest = number(ids, low).map(|id| (length + 1, id));
            }
        }
        longest
    }

    /// A text without added tokens.
    fn cut(&self, text: &str, work: &mut Work, ids: &mut Vec<u32>) {
        let mut from = 0;
        if let Some(pattern) = &self.pattern {
            // A match that the expression's engine gives up on is the end of cutting, as it is for the library.
            for found in pattern.find_iter(text).map_while(Result::ok) {
                self.merge_text(text.get(from..found.start()).unwrap_or_default(), work, ids);
                self.merge_text(found.as_str(), work, ids);
                from = found.end();
            }
        }
        self.merge_text(text.get(from..).unwrap_or_default(), work, ids);
    }

    /// A text that is cut no more: into its characters, or bytes where there is no token, and those merged.
    fn merge_text(&self, text: &str, work: &mut Work, ids: &mut Vec<u32>) {
        let spaces = !self.part(Part::Spaces).is_empty();
        let characters = self.numbers(Part::Characters);
        let (character_ids, byte_ids) = (
            self.numbers(Part::CharacterIds),
            self.numbers(Part::ByteIds),
        );
        let mut before = None;
        for mut char in text.chars() {
            if spaces && char == ' ' {
                char = SPACE;
            }
            let code = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
            let known = characters.binary_search_by_key(&u32::from(char), code);
            if let Some(id) = known.ok().and_then(|at| number(character_ids, at)) {
                if before.is_none_or(|before| !self.may_join(before, id)) {
                    self.merge(work, ids);
                }
                let place = work.symbols.len() as u32;
                let (before_it, behind) = (place.wrapping_sub(1), place + 1);
                work.symbols.push(Symbol {
                    id,
                    before: before_it,
                    behind,
                });
                before = Some(id);
            } else {
                self.merge(work, ids);
                let mut room = [0; 4];
                let bytes = char.encode_utf8(&mut room).bytes();
                ids.extend(bytes.filter_map(|byte| number(byte_ids, usize::from(byte))));
                before = None;
            }
        }
        self.merge(work, ids);
    }

    /// Merges the segment, gives its ids and begins the next. The order is the library's, to its last detail: by rank,
    /// then from the left; and what waits for a pair is out of date if the pair would now become something else.
    fn merge(&self, work: &mut Work, ids: &mut Vec<u32>) {
        let Work { symbols, waiting } = work;
        if let [only] = symbols.as_slice() {
            ids.push(only.id);
            symbols.clear();
            return;
        }
        if let Some(last) = symbols.last_mut() {
            last.behind = NONE;
        }
        let pairs = symbols.iter().zip(symbols.iter().skip(1)).enumerate();
        waiting.extend(pairs.filter_map(|(place, (left, right))| {
            let (rank, becomes) = self.merge_of(left.id, right.id)?;
            Some(Reverse((rank, place as u32, becomes)))
        }));
        while let Some(Reverse((_, place, becomes))) = waiting.pop() {
            let Some(left) = symbols.get(place as usize).copied() else {
                continue;
            };
            let Some(right) = symbols.get(left.behind as usize).copied() else {
                continue;
            };
            let now = self.merge_of(left.id, right.id);
            if left.id == NONE || now.is_none_or(|(_, now)| now != becomes) {
                continue;
            }
            if let Some(gone) = symbols.get_mut(left.behind as usize) {
                gone.id = NONE;
            }
            if let Some(behind) = symbols.get_mut(right.behind as usize) {
                behind.before = place;
            }
            if let Some(merged) = symbols.get_mut(place as usize) {
                (merged.id, merged.behind) = (becomes, right.behind);
            }
            let mut wait = |place: u32, left: u32, right: u32| {
                if let Some((rank, becomes)) = self.merge_of(left, right) {
                    waiting.push(Reverse((rank, place, becomes)));
                }
            };
            if let Some(before) = symbols.get(left.before as usize) {
                wait(left.before, before.id, becomes);
            }
            if let Some(behind) = symbols.get(right.behind as usize) {
                wait(place, becomes, behind.id);
            }
        }
        let left = symbols.drain(..).map(|symbol| symbol.id);
        ids.extend(left.filter(|id| *id != NONE));
    }

    /// The rank of a merge, and what it gives.
    fn merge_of(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let (buckets, merges) = (self.numbers(Part::Buckets), self.part(Part::Merges));
        let bucket = bucket(left, right, buckets.len().checked_sub(1)?);
        let (from, to) = (number(buckets, bucket)?, number(buckets, bucket + 1)?);
        let (merges, _) = merges.as_chunks::<16>();
        let found = merges.get(from as usize..to as usize)?.iter();
        found
            .map(|merge| merge.as_chunks::<4>().0)
            .find_map(|merge| {
                let is = number(merge, 0) == Some(left) && number(merge, 1) == Some(right);
                is.then(|| Some((number(merge, 2)?, number(merge, 3)?)))?
            })
    }

    fn may_join(&self, left: u32, right: u32) -> bool {
        let joints = self.part(Part::Joints);
        let bit = joint_bit(left, right, joints.len() * 8);
        joints
            .get(bit / 8)
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }
}

/// The first place from `low` to `high` that is not `before`, all of which stand in front.
fn partition(mut low: usize, mut high: usize, before: impl Fn(usize) -> bool) -> usize {
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Of a power of two of buckets.
pub(super) fn bucket(left: u32, right: u32, count: usize) -> usize {
    (mixed(left, right) >> 32) as usize & count.wrapping_sub(1)
}

/// Of a power of two of bits.
pub(super) fn joint_bit(left: u32, right: u32, bits: usize) -> usize {
    (mixed(left, right) >> 32) as usize & bits.wrapping_sub(1)
}

/// Spread over all bits. Written to disk as the order of the merges: it must not change without the version.
fn mixed(left: u32, right: u32) -> u64 {
    let both = u64::from(left) << 32 | u64::from(right);
    let spread = (both ^ both >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (spread ^ spread >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}
