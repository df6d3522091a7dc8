//! The KV cache of one sequence: keys and values of every layer for the positions seen so far.
//!
//! What several sequences have in common is kept once: a cache is a list of frozen segments that others use too, and a
//! tail of its own. Every layer keeps every position, the sliding ones too, so that a prefix of any length can be taken.

use std::{ops::Range, sync::Arc};

use super::Config;

/// Grows with the sequence, up to the model's context. Each position has `kv_heads × head_dim` values a layer.
#[derive(Debug)]
pub struct KvCache {
    frozen: Frozen,
    tail: Vec<Layer>,
    positions: usize,
    width: usize,
}

/// Positions that never change any more. Cheap to clone; what the clones have in common is held once.
#[derive(Clone, Debug, Default)]
pub struct Frozen {
    parts: Vec<Part>,
}

/// The first positions of a segment.
#[derive(Clone, Debug)]
struct Part {
    segment: Arc<Vec<Layer>>,
    used: usize,
    /// Positions that the segment has.
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Keys and values of one layer at consecutive positions, in the order of the positions.
pub(super) struct Rows<'a> {
    parts: Vec<(&'a [f32], &'a [f32])>,
    width: usize,
}

impl KvCache {
    pub fn new(config: &Config) -> Self {
        Self {
            frozen: Frozen::default(),
            tail: vec![Layer::default(); config.layers.len()],
            positions: 0,
            width: config.kv_heads * config.head_dim,
        }
    }

    /// A sequence that begins with the first `len` positions of `frozen`, which it has in common with others.
    pub fn resume(config: &Config, frozen: &Frozen, len: usize) -> Self {
        let mut cache = Self::new(config);
        cache.frozen = frozen.clone();
        cache.positions = frozen.len();
        cache.truncate(len);
        // A small part of a large segment would keep all of it in memory: such a part is copied.
        if let Some(last) = cache.frozen.parts.pop_if(|last| 2 * last.used < last.len) {
            for (tail, layer) in cache.tail.iter_mut().zip(last.segment.iter()) {
                let (keys, values) = layer.first(last.used * cache.width);
                tail.keys.extend_from_slice(keys);
                tail.values.extend_from_slice(values);
            }
        }
        cache
    }

    /// Positions that all layers have.
    pub fn len(&self) -> usize {
        self.positions
    }

    pub fn is_empty(&self) -> bool {
        self.positions == 0
    }

    /// Forgets all but the first `len` positions.
    pub fn truncate(&mut self, len: usize) {
        self.positions = self.positions.min(len);
        let mut left = self.positions;
        for part in &mut self.frozen.parts {
            part.used = part.used.min(left);
            left -= part.used;
        }
        self.frozen.parts.retain(|part| part.used > 0);
        for layer in &mut self.tail {
            layer.keys.truncate(left * self.width);
            layer.values.truncate(left * self.width);
        }
    }

    /// All positions, for others to begin with. This sequence goes on behind them.
    pub fn freeze(&mut self) -> Frozen {
        let len = self.positions - self.frozen.len();
        if len > 0 {
            let empty = vec![Layer::default(); self.tail.len()];
            let mut layers = std::mem::replace(&mut self.tail, empty);
            for layer in &mut layers {
                layer.keys.shrink_to_fit();
                layer.values.shrink_to_fit();
            }
            self.frozen.parts.push(Part {
                segment: Arc::new(layers),
                used: len,
                len,
            });
        }
        self.frozen.clone()
    }

    /// Adds the new positions' keys and values of one layer and gives all of that layer's.
    pub(super) fn extend(&mut self, layer: usize, keys: &[f32], values: &[f32]) -> Rows<'_> {
        let width = self.width;
        let mut parts = Vec::with_capacity(self.frozen.parts.len() + 1);
        for part in &self.frozen.parts {
            if let Some(layer) = part.segment.get(layer) {
                parts.push(layer.first(part.used * width));
            }
        }
        if let Some(tail) = self.tail.get_mut(layer) {
            tail.keys.extend_from_slice(keys);
            tail.values.extend_from_slice(values);
            parts.push((&tail.keys, &tail.values));
        }
        Rows { parts, width }
    }

    /// To be called once all layers were extended.
    pub(super) fn advance(&mut self) {
        let own = self
            .tail
            .first()
            .map_or(0, |layer| layer.keys.len() / self.width);
        self.positions = self.frozen.len() + own;
    }
}

impl Frozen {
    /// Positions.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.used).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The segments that this holds in memory: what names each, and its bytes.
    pub fn segments(&self) -> impl Iterator<Item = (usize, usize)> {
        self.parts.iter().map(|part| {
            let floats = |layer: &Layer| layer.keys.capacity() + layer.values.capacity();
            let floats: usize = part.segment.iter().map(floats).sum();
            (Arc::as_ptr(&part.segment).addr(), floats * size_of::<f32>())
        })
    }
}

impl Layer {
    fn first(&self, end: usize) -> (&[f32], &[f32]) {
        (
            self.keys.get(..end).unwrap_or_default(),
            self.values.get(..end).unwrap_or_default(),
        )
    }
}

impl Rows<'_> {
    pub(super) fn keys(&self, positions: Range<usize>) -> impl Iterator<Item = &[f32]> {
        rows(self.parts.iter().map(|part| part.0), self.width, positions)
    }

    pub(super) fn values(&self, positions: Range<usize>) -> impl Iterator<Item = &[f32]> {
        rows(self.parts.iter().map(|part| part.1), self.width, positions)
    }
}

fn rows<'a>(
    parts: impl Iterator<Item = &'a [f32]>,
    width: usize,
    positions: Range<usize>,
) -> impl Iterator<Item = &'a [f32]> {
    let mut before = 0;
    parts.flat_map(move |part| {
        let len = part.len() / width;
        let within = |position: usize| position.saturating_sub(before).min(len) * width;
        let range = within(positions.start)..within(positions.end);
        before += len;
        part.get(range).unwrap_or_default().chunks_exact(width)
    })
}
