//! What was computed of earlier requests, kept for those that begin the same way.
//!
//! The declarations of the tools are the same call after call, and a conversation goes on where it was. So the KV of
//! what went through the model is kept, as long as there is room: whoever was not needed for longest goes first.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use super::Gauges;
use crate::model::{Adapter, Frozen};

/// The kept beginnings. Only the thread that owns the model has one.
#[derive(Debug)]
pub(super) struct PrefixCache {
    limit: usize,
    /// Used last at the end.
    entries: Vec<Entry>,
}

/// A sequence, and the KV of all its tokens.
#[derive(Debug)]
struct Entry {
    tokens: Vec<u32>,
    frozen: Frozen,
}

impl PrefixCache {
    /// At most `limit` bytes; 0 keeps nothing.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Vec::new(),
        }
    }

    /// What is known of the longest beginning of `tokens` with this adapter, and its length; at least the last token is left
    /// to compute.
    pub(super) fn longest(
        &mut self,
        tokens: &[u32],
        adapter: Option<&Arc<Adapter>>,
    ) -> Option<(Frozen, usize)> {
        let most = tokens.len().saturating_sub(1);
        let common = |entry: &Entry| {
            let known = if entry.frozen.is_of(adapter) {
                common(&entry.tokens, tokens)
            } else {
                0
            };
            entry.frozen.usable(known.min(most))
        };
        // Of equals the shortest: it is what they have in common, and the longer ones may grow old.
        let (at, len) = (self.entries.iter().map(common).enumerate())
            .filter(|(_, len)| *len > 0)
            .max_by_key(|(at, len)| {
                let whole = self.entries.get(*at).map_or(0, |entry| entry.tokens.len());
                (*len, std::cmp::Reverse(whole))
            })?;
        let frozen = self.entries.get(at)?.frozen.clone();
        self.touch(at);
        Some((frozen, len))
    }

    /// Keeps the KV of `tokens`, of which there must be as many as positions. What is known already is not kept twice.
    pub(super) fn keep(&mut self, tokens: &[u32], frozen: Frozen) {
        let entry = Entry {
            tokens: tokens.to_vec(),
            frozen,
        };
        if tokens.is_empty() || bytes(std::slice::from_ref(&entry)) > self.limit {
            return;
        }
        let known = |known: &Entry| {
            known.frozen.is_like(&entry.frozen)
                && known.tokens.starts_with(tokens)
                && known.frozen.usable(tokens.len()) == tokens.len()
        };
        if let Some(at) = self.entries.iter().position(known) {
            return self.touch(at);
        }
        self.entries.push(entry);
        let mut too_many = 0;
        while bytes(self.entries.get(too_many..).unwrap_or_default()) > self.limit {
            too_many += 1;
        }
        self.entries.drain(..too_many);
    }

    pub(super) fn report(&self, gauges: &Gauges) {
        (gauges.prefix_bytes).store(bytes(&self.entries), Ordering::Relaxed);
        (gauges.prefix_entries).store(self.entries.len(), Ordering::Relaxed);
    }

    fn touch(&mut self, at: usize) {
        let used = self.entries.remove(at);
        self.entries.push(used);
    }
}

/// The length of the common beginning.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// What the entries hold in memory; what several have in common is counted once.
fn bytes(entries: &[Entry]) -> usize {
    let tokens: usize = (entries.iter())
        .map(|entry| size_of_val(entry.tokens.as_slice()))
        .sum();
    let segments: HashMap<usize, usize> = (entries.iter())
        .flat_map(|entry| entry.frozen.segments())
        .collect();
    tokens + segments.values().sum::<usize>()
}
