//! Keys and values of one layer at consecutive positions, in memory: in f16, or in f32 where exactness is asked for.

use std::sync::Arc;

use half::f16;

use super::{Attention, Config};
use crate::kernels::{KvPart, narrow};

/// Positions that a sliding layer keeps beyond its window, so that a guess that was wrong can be forgotten.
const MARGIN: usize = 64;
/// Memory grows by so many positions at a time: doubling would waste up to half.
const GROWTH: usize = 256;

/// What numbers are kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvPrecision {
    F32,
    F16,
}

/// What the caches of a model have in common.
#[derive(Debug)]
pub struct KvShape {
    /// Numbers a position has: `kv_heads × head_dim`.
    width: usize,
    pub(super) window: usize,
    sliding: Vec<bool>,
    precision: KvPrecision,
}

/// One layer's keys and values.
#[derive(Clone, Debug)]
pub(super) struct KvRows {
    width: usize,
    /// Of a sliding layer.
    window: Option<usize>,
    /// So many positions were dropped before the first that is there.
    dropped: usize,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    F32(Pair<f32>),
    F16(Pair<f16>),
}

/// As many keys as values.
#[derive(Clone, Debug, Default)]
struct Pair<T> {
    keys: Vec<T>,
    values: Vec<T>,
}

/// The same of either kind of numbers.
macro_rules! either {
    ($numbers:expr, $pair:ident => $work:expr) => {
        match $numbers {
            Numbers::F32($pair) => $work,
            Numbers::F16($pair) => $work,
        }
    };
}

impl KvShape {
    pub(super) fn new(config: &Config, precision: KvPrecision) -> Arc<Self> {
        Arc::new(Self {
            width: config.kv_heads * config.head_dim,
            window: config.sliding_window,
            sliding: (config.layers.iter().map(|l| *l == Attention::Sliding)).collect(),
            precision,
        })
    }

    pub(super) fn empty_layers(&self) -> Vec<KvRows> {
        let layer = |sliding: &bool| KvRows {
            width: self.width,
            window: sliding.then_some(self.window),
            dropped: 0,
            numbers: match self.precision {
                KvPrecision::F32 => Numbers::F32(Pair::default()),
                KvPrecision::F16 => Numbers::F16(Pair::default()),
            },
        };
        self.sliding.iter().map(layer).collect()
    }

    /// The most bytes that a sequence of so many positions of its own needs, if it gets at most `chunk` at a time.
    pub fn most_bytes(&self, positions: usize, chunk: usize) -> usize {
        let bounded = most_kept(self.window).saturating_add(chunk);
        let rows = |sliding: &bool| {
            let most = if *sliding {
                positions.min(bounded)
            } else {
                positions
            };
            most.next_multiple_of(GROWTH)
        };
        let rows: usize = self.sliding.iter().map(rows).sum();
        rows * self.row_bytes()
    }

    /// The bytes that a token reads with so many positions before it.
    pub(super) fn bytes_read(&self, positions: usize) -> usize {
        let rows = |sliding: &bool| match sliding {
            true => positions.min(self.window),
            false => positions,
        };
        self.sliding.iter().map(rows).sum::<usize>() * self.row_bytes()
    }

    /// Of the keys and values that a layer keeps of one position.
    fn row_bytes(&self) -> usize {
        let number = match self.precision {
            KvPrecision::F32 => size_of::<f32>(),
            KvPrecision::F16 => size_of::<f16>(),
        };
        2 * self.width * number
    }
}

/// Positions that a sliding layer has at most before more come: short sequences are whole, so that others can begin like
/// them up to any length.
fn most_kept(window: usize) -> usize {
    2 * window + MARGIN
}

impl KvRows {
    /// Positions, the dropped ones included.
    pub(super) fn len(&self) -> usize {
        let numbers = either!(&self.numbers, pair => pair.keys.len());
        self.dropped + numbers / self.width
    }

    pub(super) fn dropped(&self) -> usize {
        self.dropped
    }

    pub(super) fn extend(&mut self, keys: &[f32], values: &[f32]) {
        self.drop_unseen();
        match &mut self.numbers {
            Numbers::F32(pair) => {
                for (to, from) in pair.each().into_iter().zip([keys, values]) {
                    grow(to, from.len(), self.width);
                    to.extend_from_slice(from);
                }
            }
            Numbers::F16(pair) => {
                for (to, from) in pair.each().into_iter().zip([keys, values]) {
                    grow(to, from.len(), self.width);
                    let before = to.len();
                    to.resize(before + from.len(), f16::ZERO);
                    if let Some(new) = to.get_mut(before..) {
                        narrow(from, new);
                    }
                }
            }
        }
    }

    /// Drops what no position to come can see, once it is much.
    fn drop_unseen(&mut self) {
        let Some(window) = self.window else { return };
        let kept = self.len() - self.dropped;
        if kept <= most_kept(window) {
            return;
        }
        let unseen = kept - window - MARGIN;
        let numbers = unseen * self.width;
        either!(&mut self.numbers, pair => pair.each().into_iter().for_each(|to| { to.drain(..numbers); }));
        self.dropped += unseen;
    }

    /// Keeps the first `len` positions, of which the dropped ones are some.
    pub(super) fn truncate(&mut self, len: usize) {
        let numbers = len.saturating_sub(self.dropped) * self.width;
        either!(&mut self.numbers, pair => pair.each().into_iter().for_each(|to| to.truncate(numbers)));
    }

    /// A copy of the first `len` positions.
    pub(super) fn first(&self, len: usize) -> Self {
        let mut copy = self.clone();
        copy.truncate(len);
        copy.shrink();
        copy
    }

    pub(super) fn shrink(&mut self) {
        either!(&mut self.numbers, pair => pair.each().into_iter().for_each(Vec::shrink_to_fit));
    }

    pub(super) fn bytes(&self) -> usize {
        either!(&self.numbers, pair => pair.bytes())
    }

    /// What is there of the first `len` positions.
    pub(super) fn part(&self, len: usize) -> KvPart<'_> {
        let end = len.saturating_sub(self.dropped) * self.width;
        match &self.numbers {
            Numbers::F32(pair) => {
                let (keys, values) = pair.first(end);
                KvPart::F32 { keys, values }
            }
            Numbers::F16(pair) => {
                let (keys, values) = pair.first(end);
                KvPart::F16 { keys, values }
            }
        }
    }
}

impl<T> Pair<T> {
    fn each(&mut self) -> [&mut Vec<T>; 2] {
        [&mut self.keys, &mut self.values]
    }

    fn bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<T>()
    }

    fn first(&self, end: usize) -> (&[T], &[T]) {
        let first = |numbers| <Vec<T>>::as_slice(numbers).get(..end).unwrap_or_default();
        (first(&self.keys), first(&self.values))
    }
}

fn grow<T>(numbers: &mut Vec<T>, more: usize, width: usize) {
    let needed = numbers.len() + more;
    if numbers.capacity() < needed {
        numbers.reserve_exact(needed.next_multiple_of(GROWTH * width) - numbers.len());
    }
}
