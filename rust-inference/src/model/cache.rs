//! The KV cache of one sequence: keys and values of every layer for the positions seen so far.
//!
//! What several sequences have in common is kept once: a cache is a list of frozen segments that others use too, and a
//! tail of its own. In the tail a sliding layer keeps what its window needs and a little more, so that memory does not
//! grow with the sequence: how much of a frozen sequence others can go on from, [`Frozen::usable`] says.

use std::sync::Arc;

use super::{
    Adapter, Model,
    kv_rows::{KvRows, KvShape},
};
use crate::kernels::KvPart;

/// Grows with the sequence, up to the model's context.
#[derive(Debug)]
pub struct KvCache {
    shape: Arc<KvShape>,
    frozen: Frozen,
    tail: Vec<KvRows>,
    positions: usize,
}

/// Positions that never change any more. Cheap to clone; what the clones have in common is held once.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    parts: Vec<Part>,
    /// What the sequence was computed with.
    adapter: Option<Arc<Adapter>>,
}

/// The first positions of a segment.
#[derive(Clone, Debug)]
struct Part {
    segment: Arc<Segment>,
    used: usize,
}

#[derive(Debug)]
struct Segment {
    layers: Vec<KvRows>,
    /// Positions of the layers that kept all.
    len: usize,
    window: usize,
}

impl KvCache {
    pub fn new(model: &Model) -> Self {
        let shape = model.kv_shape().clone();
        Self {
            frozen: Frozen::default(),
            tail: shape.empty_layers(),
            positions: 0,
            shape,
        }
    }

    /// A sequence that begins with the first `len` positions of `frozen`, which it has in common with others; with fewer
    /// if so many are not usable: see [`KvCache::len`].
    pub fn resume(model: &Model, frozen: &Frozen, len: usize) -> Self {
        let mut cache = Self::new(model);
        cache.frozen = frozen.clone();
        cache.positions = frozen.len();
        cache.truncate(len);
        // A small part of a large segment would keep all of it in memory: such a part is copied.
        let small = |last: &mut Part| 2 * last.used < last.segment.len;
        if let Some(last) = cache.frozen.parts.pop_if(small) {
            for (tail, layer) in cache.tail.iter_mut().zip(&last.segment.layers) {
                *tail = layer.first(last.used);
            }
        }
        cache
    }

    /// A sequence that is computed with this adapter. Nothing of it may have been computed yet.
    #[must_use]
    pub fn with_adapter(mut self, adapter: Option<Arc<Adapter>>) -> Self {
        self.frozen.adapter = adapter;
        self
    }

    pub(super) fn adapter(&self) -> Option<Arc<Adapter>> {
        self.frozen.adapter.clone()
    }

    /// Positions that all layers have.
    pub fn len(&self) -> usize {
        self.positions
    }

    pub fn is_empty(&self) -> bool {
        self.positions == 0
    }

    /// Forgets all but the first `len` positions; more of them if the sliding layers do not know enough to go on from
    /// there: [`KvCache::len`] tells.
    pub fn truncate(&mut self, len: usize) {
        let shared = self.frozen.len();
        let dropped = (self.tail.iter().map(KvRows::dropped).max()).unwrap_or(0);
        let mut len = len.min(self.positions);
        if len > shared && lacks(shared, dropped, len, self.shape.window) {
            len = shared;
        }
        if len <= shared {
            len = self.frozen.usable(len);
            self.tail = self.shape.empty_layers();
        }
        for layer in &mut self.tail {
            layer.truncate(len.saturating_sub(shared));
        }
        let mut left = len;
        for part in &mut self.frozen.parts {
            part.used = part.used.min(left);
            left -= part.used;
        }
        self.frozen.parts.retain(|part| part.used > 0);
        self.positions = len;
    }

    /// What is shared with others already.
    pub fn frozen(&self) -> &Frozen {
        &self.frozen
    }

    /// All positions, for others to begin with. This sequence goes on behind them.
    pub fn freeze(&mut self) -> Frozen {
        let len = self.positions - self.frozen.len();
        if len > 0 {
            let mut layers = std::mem::replace(&mut self.tail, self.shape.empty_layers());
            layers.iter_mut().for_each(KvRows::shrink);
            let segment = Segment {
                layers,
                len,
                window: self.shape.window,
            };
            self.frozen.parts.push(Part {
                segment: Arc::new(segment),
                used: len,
            });
        }
        self.frozen.clone()
    }

    /// Adds the new positions' keys and values of one layer.
    pub(super) fn extend(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        if let Some(tail) = self.tail.get_mut(layer) {
            tail.extend(keys, values);
        }
    }

    /// All of a layer's keys and values up to its newest position, and the position of the first. A sliding layer's begin
    /// no later than its window does.
    pub(super) fn rows(&self, layer: usize) -> (Vec<KvPart<'_>>, usize) {
        let mut parts = Vec::with_capacity(self.frozen.parts.len() + 1);
        let mut first = self.frozen.len();
        // Backwards: what was dropped is older than all that is seen.
        if let Some(tail) = self.tail.get(layer) {
            parts.push(tail.part(tail.len()));
            if tail.dropped() > 0 {
                return (parts, first + tail.dropped());
            }
        }
        for part in self.frozen.parts.iter().rev() {
            first -= part.used;
            if let Some(rows) = part.segment.layers.get(layer) {
                parts.push(rows.part(part.used));
                if rows.dropped() > 0 {
                    first += rows.dropped();
                    break;
                }
            }
        }
        parts.reverse();
        (parts, first)
    }

    /// What its own positions hold in memory; not what it has in common with others.
    pub fn bytes(&self) -> usize {
        self.tail.iter().map(KvRows::bytes).sum()
    }

    /// To be called once all layers were extended by so many positions.
    pub(super) fn advance(&mut self, positions: usize) {
        self.positions += positions;
    }
}

/// Whether a sliding layer lacks what the position `len` sees, if it has dropped the first `dropped` from `start` on.
fn lacks(start: usize, dropped: usize, len: usize, window: usize) -> bool {
    dropped > 0 && len > start && len + 1 < start + dropped + window
}

impl Frozen {
    /// Whether both were computed with the same adapter, or with none.
    pub fn is_like(&self, other: &Self) -> bool {
        self.is_of(other.adapter.as_ref())
    }

    /// Whether it was computed with this adapter: with another, the same tokens have other keys and values.
    pub fn is_of(&self, adapter: Option<&Arc<Adapter>>) -> bool {
        match (&self.adapter, adapter) {
            (None, None) => true,
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// Positions.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.used).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The greatest number of positions, at most `len`, that a sequence can go on from: sliding layers may have dropped
    /// what lies within the window of the others.
    pub fn usable(&self, len: usize) -> usize {
        let mut usable = len.min(self.len());
        let mut end = self.len();
        for Part { segment, used } in self.parts.iter().rev() {
            let start = end - used;
            let dropped = (segment.layers.iter().map(KvRows::dropped).max()).unwrap_or(0);
            if lacks(start, dropped, usable, segment.window) {
                usable = start;
            }
            end = start;
        }
        usable
    }

    /// The segments that this holds in memory: what names each, and its bytes.
    pub fn segments(&self) -> impl Iterator<Item = (usize, usize)> {
        self.parts.iter().map(|part| {
            let bytes = part.segment.layers.iter().map(KvRows::bytes).sum();
            (Arc::as_ptr(&part.segment).addr(), bytes)
        })
    }
}
