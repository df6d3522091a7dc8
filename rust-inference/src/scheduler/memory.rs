//! How much memory KV caches may take: who is admitted has reserved the most that it can come to need, so that memory
//! never runs out in the middle of an answer.

use std::collections::HashMap;

use super::{Reading, plan, read, sequence::LONGEST_GUESS};
use crate::model::{Frozen, KvShape};

/// The most bytes that a sequence's own positions can take: `shared` of them are frozen by themselves, if not 0.
pub(super) fn most_bytes(shape: &KvShape, positions: usize, shared: usize) -> usize {
    let bytes = |positions| match positions {
        0 => 0,
        _ => shape.most_bytes(positions, plan::ALONE),
    };
    let shared = shared.min(positions);
    bytes(shared) + bytes(positions - shared)
}

/// What a request needs at most of which nothing was computed before.
pub(super) fn of_request(
    shape: &KvShape,
    prompt: usize,
    max_tokens: usize,
    shared: usize,
) -> usize {
    let positions = prompt.saturating_add(max_tokens) + LONGEST_GUESS;
    most_bytes(shape, positions, shared)
}

/// Of its texts one may be seen in part, and the next few together.
pub(super) fn of_reading(shape: &KvShape, reading: &Reading) -> usize {
    let longest = reading.texts.iter().map(Vec::len).max().unwrap_or(0);
    most_bytes(shape, longest + read::CHUNK, read::CHUNK)
}

/// What several have in common, counted once.
pub(super) fn of_segments<'a>(frozen: impl Iterator<Item = &'a Frozen>) -> usize {
    let segments: HashMap<usize, usize> = frozen.flat_map(Frozen::segments).collect();
    segments.values().sum()
}
