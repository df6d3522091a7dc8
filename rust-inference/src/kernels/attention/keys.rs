//! The rows of keys and values of one key head, found by position in whatever parts they are kept.

#![allow(clippy::inline_always)]

use std::ops::Range;

use half::f16;

use super::{AttentionShape, KvPart};
use crate::kernels::lanes::{Element, Lanes, WIDEST};

/// Positions whose rows are looked up together. A multiple of every level's lanes, and [`super::CHUNK`] of it.
pub(super) const BLOCK: usize = 16;

#[derive(Clone, Copy)]
pub(super) enum Side {
    Keys,
    Values,
}

#[derive(Clone)]
pub(super) struct Keys<'a> {
    parts: &'a [KvPart<'a>],
    /// The position of the first row of the parts.
    first: usize,
    /// Numbers from one position's row to the next one's.
    stride: usize,
    /// Where in a row the key head is.
    head: Range<usize>,
}

/// Numbers that a part can hold.
pub(super) trait Stored: Element {
    fn side<'a>(part: &KvPart<'a>, side: Side) -> Option<&'a [Self]>;
}

impl Stored for f32 {
    fn side<'a>(part: &KvPart<'a>, side: Side) -> Option<&'a [f32]> {
        match (part, side) {
            (KvPart::F32 { keys, .. }, Side::Keys) => Some(keys),
            (KvPart::F32 { values, .. }, Side::Values) => Some(values),
            (KvPart::F16 { .. }, _) => None,
        }
    }
}

impl Stored for f16 {
    fn side<'a>(part: &KvPart<'a>, side: Side) -> Option<&'a [f16]> {
        match (part, side) {
            (KvPart::F16 { keys, .. }, Side::Keys) => Some(keys),
            (KvPart::F16 { values, .. }, Side::Values) => Some(values),
            (KvPart::F32 { .. }, _) => None,
        }
    }
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        shape: &AttentionShape,
        parts: &'a [KvPart<'a>],
        first: usize,
        head: usize,
    ) -> Self {
        Self {
            parts,
            first,
            stride: shape.kv_heads * shape.head_dim,
            head: head * shape.head_dim..(head + 1) * shape.head_dim,
        }
    }

    pub(super) fn start(&self) -> usize {
        self.first
    }

    /// The position behind the last.
    pub(super) fn end(&self) -> usize {
        let numbers: usize = self.parts.iter().map(KvPart::numbers).sum();
        self.first + numbers / self.stride
    }

    /// The part that has `position`, and its row there.
    fn find(&self, position: usize) -> (&'a KvPart<'a>, usize) {
        let mut row = position - self.first;
        for part in self.parts {
            let rows = part.numbers() / self.stride;
            if row < rows {
                return (part, row);
            }
            row -= rows;
        }
        unreachable!("position {position} has no row");
    }

    /// The rows of the positions from `first` on, if they are all kept as `E` and fill whole vectors. In the place of
    /// positions outside of `seen`, there are rows of others: their weight has to be zero.
    #[inline(always)]
    pub(super) fn rows<const N: usize, E: Stored>(
        &self,
        side: Side,
        first: usize,
        seen: &Range<usize>,
    ) -> Option<[&'a [[E; N]]; BLOCK]> {
        if !self.head.len().is_multiple_of(WIDEST) {
            return None;
        }
        let clamp = |position: usize| position.max(seen.start).min(seen.end - 1);
        let vectors = |numbers: &'a [E], row: usize| {
            numbers[row * self.stride..][self.head.clone()]
                .as_chunks()
                .0
        };
        let (start, last) = (clamp(first), clamp(first + BLOCK - 1));
        let (part, row) = self.find(start);
        let numbers = E::side(part, side)?;
        let mut rows = [vectors(numbers, row); BLOCK];
        if row + last - start < numbers.len() / self.stride {
            for (i, place) in rows.iter_mut().enumerate() {
                *place = vectors(numbers, row + clamp(first + i) - start);
            }
        } else {
            for (i, place) in rows.iter_mut().enumerate() {
                let (part, row) = self.find(clamp(first + i));
                *place = vectors(E::side(part, side)?, row);
            }
        }
        Some(rows)
    }

    /// Writes the rows that `rows` would give to `wide`, widened, each filled up with zeros to whole vectors, and
    /// `stride` numbers apart.
    #[inline(always)]
    pub(super) fn widen<const N: usize, L: Lanes<N>>(
        &self,
        lanes: L,
        side: Side,
        first: usize,
        seen: &Range<usize>,
        wide: &mut [f32],
        stride: usize,
    ) {
        for (i, wide) in wide.chunks_exact_mut(stride).enumerate() {
            let position = (first + i).max(seen.start).min(seen.end - 1);
            let (part, row) = self.find(position);
            let range = row * self.stride + self.head.start..row * self.stride + self.head.end;
            if let Some(numbers) = f16::side(part, side) {
                widen_row(lanes, &numbers[range], wide);
            } else if let Some(numbers) = f32::side(part, side) {
                widen_row(lanes, &numbers[range], wide);
            }
        }
    }
}

/// The last vector is filled up with zeros.
#[inline(always)]
fn widen_row<const N: usize, L: Lanes<N>, E: Stored>(lanes: L, numbers: &[E], wide: &mut [f32]) {
    let (vectors, rest) = numbers.as_chunks::<N>();
    let (wide, _) = wide.as_chunks_mut::<N>();
    for (vector, wide) in vectors.iter().zip(&mut *wide) {
        lanes.store(E::load(lanes, vector), wide);
    }
    let wide = wide[vectors.len()..].as_flattened_mut();
    wide.fill(0.0);
    for (number, wide) in rest.iter().zip(wide) {
        *wide = number.widened();
    }
}

impl KvPart<'_> {
    /// Numbers on each side.
    fn numbers(&self) -> usize {
        match self {
            Self::F32 { keys, .. } => keys.len(),
            Self::F16 { keys, .. } => keys.len(),
        }
    }
}
