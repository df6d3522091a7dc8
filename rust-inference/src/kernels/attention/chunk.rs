//! The positions of one chunk, for the query rows of one tile; and how chunks are put together.

#![allow(clippy::inline_always)]

use std::ops::Range;

use half::f16;

use super::{
    AttentionShape, CHUNK, Tile,
    keys::{BLOCK, Side, Stored},
    softmax::weigh,
};
use crate::kernels::{
    functions::exp,
    lanes::{Lanes, WIDEST},
    tile::{dots, weighted_sums},
};

/// From this many query rows on, what is read is widened once for all of them, not by each again, and laid out side by
/// side.
const WIDEN_FROM: usize = 24;

/// What the positions looked at so far give each query row of a tile.
pub(super) struct Rows<'s> {
    /// The largest score.
    pub(super) peaks: &'s mut [f32],
    /// The sum of the weights, relative to that of the largest score.
    pub(super) sums: &'s mut [f32],
    /// The weighted sum of the values, of each row `width` numbers.
    pub(super) values: &'s mut [f32],
}

/// What a task needs to compute chunks.
pub(super) struct Scratch<'s> {
    /// The queries, each filled up with zeros to whole vectors.
    queries: &'s [f32],
    /// Of each row its product with each key of the chunk, then the weight of the value there.
    weights: &'s mut [f32],
    /// The widened rows of a chunk, each `stride` numbers.
    wide: &'s mut [f32],
    stride: usize,
}

impl<'s> Rows<'s> {
    /// Numbers that `rows` query rows need.
    pub(super) fn len(rows: usize, width: usize) -> usize {
        rows * (2 + width)
    }

    pub(super) fn new(numbers: &'s mut [f32], rows: usize) -> Self {
        let (peaks, numbers) = numbers.split_at_mut(rows);
        let (sums, values) = numbers.split_at_mut(rows);
        Self {
            peaks,
            sums,
            values,
        }
    }

    /// Adds what later positions give.
    #[inline(always)]
    pub(super) fn add<const N: usize, L: Lanes<N>>(&mut self, lanes: L, later: &Rows<'_>) {
        let width = self.values.len() / self.peaks.len();
        let values = self.values.chunks_exact_mut(width);
        let values = values.zip(later.values.chunks_exact(width));
        for (row, (values, later_values)) in values.enumerate() {
            // Zero if the row saw none of the positions.
            if later.sums[row] == 0.0 {
                continue;
            }
            let peak = self.peaks[row].max(later.peaks[row]);
            let factor = exp(lanes, self.peaks[row] - peak);
            let later_factor = exp(lanes, later.peaks[row] - peak);
            self.peaks[row] = peak;
            self.sums[row] = self.sums[row] * factor + later.sums[row] * later_factor;
            for (value, later) in values.iter_mut().zip(later_values) {
                *value = *value * factor + later * later_factor;
            }
        }
    }
}

impl Rows<'_> {
    /// The mean of the values, weighted, to each row's place.
    #[inline(always)]
    pub(super) fn write(&self, out: &mut [&mut [f32]]) {
        let width = self.values.len() / self.peaks.len();
        let values = self.values.chunks_exact(width);
        for ((out, values), sum) in out.iter_mut().zip(values).zip(&*self.sums) {
            for (out, value) in out.iter_mut().zip(values) {
                *out = value / sum;
            }
        }
    }
}

impl<'s> Scratch<'s> {
    /// Numbers that a tile needs.
    pub(super) fn len(rows: usize, width: usize) -> usize {
        rows * (width + CHUNK) + CHUNK * stride(width)
    }

    pub(super) fn new(tile: &Tile<'_, '_>, width: usize, numbers: &'s mut [f32]) -> Self {
        let rows = tile.queries.len();
        let (queries, numbers) = numbers.split_at_mut(rows * width);
        for (query, place) in tile.queries.iter().zip(queries.chunks_exact_mut(width)) {
            let (place, rest) = place.split_at_mut(query.len());
            place.copy_from_slice(query);
            rest.fill(0.0);
        }
        let (weights, wide) = numbers.split_at_mut(rows * CHUNK);
        Self {
            queries,
            weights,
            wide,
            stride: stride(width),
        }
    }

    /// Computes what the positions of chunk `chunk` give the rows of `tile`.
    #[inline(always)]
    pub(super) fn chunk<const N: usize, L: Lanes<N>>(
        &mut self,
        lanes: L,
        shape: &AttentionShape,
        tile: &Tile<'_, '_>,
        chunk: usize,
        out: &mut Rows<'_>,
    ) {
        let start = chunk * CHUNK;
        let seen = intersection(&tile.seen(shape), &(start..start + CHUNK));
        let blocks = (seen.start - start) / BLOCK..(seen.end - start).div_ceil(BLOCK);
        for block in blocks.clone() {
            self.products(lanes, tile, start, block, &seen);
        }
        let group = shape.group();
        let (first, end) = (blocks.start * BLOCK, blocks.end * BLOCK);
        for (row, weights) in self.weights.chunks_exact_mut(CHUNK).enumerate() {
            let visible = shape.visible(tile.first_query + row / group);
            let visible = intersection(&visible, &seen);
            let weights = &mut weights[first..end];
            (out.peaks[row], out.sums[row]) = if visible.is_empty() {
                weights.fill(0.0);
                (f32::NEG_INFINITY, 0.0)
            } else {
                let visible = visible.start - start - first..visible.end - start - first;
                weigh(lanes, shape, weights.as_chunks_mut::<N>().0, &visible)
            };
        }
        self.values(lanes, tile, start, first..end, &seen, out.values);
    }

    /// The products of all query rows with the keys of a block.
    #[inline(always)]
    fn products<const N: usize, L: Lanes<N>>(
        &mut self,
        lanes: L,
        tile: &Tile<'_, '_>,
        start: usize,
        block: usize,
        seen: &Range<usize>,
    ) {
        let at = block * BLOCK;
        if tile.queries.len() < WIDEN_FROM {
            if let Some(keys) = tile.keys.rows::<N, f16>(Side::Keys, start + at, seen) {
                return block_products(lanes, self.queries, &keys, at, self.weights);
            }
            if let Some(keys) = tile.keys.rows::<N, f32>(Side::Keys, start + at, seen) {
                return block_products(lanes, self.queries, &keys, at, self.weights);
            }
        }
        let wide = &mut self.wide[..BLOCK * self.stride];
        (tile.keys).widen(lanes, Side::Keys, start + at, seen, wide, self.stride);
        let width = self.queries.len() / tile.queries.len();
        let mut keys = [&wide.as_chunks::<N>().0[..width / N]; BLOCK];
        for (row, key) in wide.chunks_exact(self.stride).zip(&mut keys) {
            *key = row[..width].as_chunks().0;
        }
        block_products(lanes, self.queries, &keys, at, self.weights);
    }

    /// The weighted sums of the values of the chunk's positions in `range`.
    #[inline(always)]
    fn values<const N: usize, L: Lanes<N>>(
        &mut self,
        lanes: L,
        tile: &Tile<'_, '_>,
        start: usize,
        range: Range<usize>,
        seen: &Range<usize>,
        out: &mut [f32],
    ) {
        let count = range.len();
        if tile.queries.len() < WIDEN_FROM {
            if let Some(rows) = chunk_rows::<N, f16>(tile, start, &range, seen) {
                return chunk_values(lanes, &*self.weights, range.start, &rows[..count], out);
            }
            if let Some(rows) = chunk_rows::<N, f32>(tile, start, &range, seen) {
                return chunk_values(lanes, &*self.weights, range.start, &rows[..count], out);
            }
        }
        let wide = &mut self.wide[..count * self.stride];
        let blocks = wide.chunks_exact_mut(BLOCK * self.stride);
        for (at, wide) in range.clone().step_by(BLOCK).zip(blocks) {
            (tile.keys).widen(lanes, Side::Values, start + at, seen, wide, self.stride);
        }
        let width = self.queries.len() / tile.queries.len();
        let mut rows = [&wide.as_chunks::<N>().0[..width / N]; CHUNK];
        for (row, place) in wide.chunks_exact(self.stride).zip(&mut rows) {
            *place = row[..width].as_chunks().0;
        }
        chunk_values(lanes, &*self.weights, range.start, &rows[..count], out);
    }
}

/// Numbers from one widened row to the next: a vector more than there are, because rows that lie a power of two apart
/// share few places in the nearest cache.
fn stride(width: usize) -> usize {
    width + WIDEST
}

/// The values of the chunk's positions in `range`, if all are kept as `E` and fill whole vectors.
#[inline(always)]
fn chunk_rows<'a, const N: usize, E: Stored>(
    tile: &Tile<'a, '_>,
    start: usize,
    range: &Range<usize>,
    seen: &Range<usize>,
) -> Option<[&'a [[E; N]]; CHUNK]> {
    let mut rows: [&[[E; N]]; CHUNK] = [&[]; CHUNK];
    for (at, rows) in (range.clone().step_by(BLOCK)).zip(rows.as_chunks_mut().0) {
        *rows = tile.keys.rows(Side::Values, start + at, seen)?;
    }
    Some(rows)
}

/// The products of all query rows with the keys of the block at `at`, to their place in `products`.
#[inline(always)]
fn block_products<const N: usize, L: Lanes<N>, E: Stored>(
    lanes: L,
    queries: &[f32],
    keys: &[&[[E; N]]; BLOCK],
    at: usize,
    products: &mut [f32],
) {
    let rows = products.len() / CHUNK;
    let queries = queries.as_chunks::<N>().0;
    let mut row = 0;
    while row + 4 <= rows {
        row_products::<N, 4, _, _>(lanes, queries, keys, at, row, products);
        row += 4;
    }
    if row + 2 <= rows {
        row_products::<N, 2, _, _>(lanes, queries, keys, at, row, products);
        row += 2;
    }
    if row < rows {
        row_products::<N, 1, _, _>(lanes, queries, keys, at, row, products);
    }
}

#[inline(always)]
fn row_products<const N: usize, const T: usize, L: Lanes<N>, E: Stored>(
    lanes: L,
    queries: &[[f32; N]],
    keys: &[&[[E; N]]; BLOCK],
    at: usize,
    row: usize,
    products: &mut [f32],
) {
    let len = keys[0].len();
    let mut rows = [&queries[..len]; T];
    for (query, place) in queries[row * len..].chunks_exact(len).zip(&mut rows) {
        *place = query;
    }
    let wide = N / T;
    for (i, keys) in keys.chunks_exact(wide).enumerate() {
        let dots = dots::<N, T, _, _>(lanes, rows, keys);
        for t in 0..T {
            let place = (row + t) * CHUNK + at + i * wide;
            products[place..place + wide].copy_from_slice(&dots[t * wide..(t + 1) * wide]);
        }
    }
}

/// The weighted sums of `values`, whose weights begin at `first` in each row's, for all query rows.
#[inline(always)]
fn chunk_values<const N: usize, L: Lanes<N>, E: Stored>(
    lanes: L,
    weights: &[f32],
    first: usize,
    values: &[&[[E; N]]],
    out: &mut [f32],
) {
    let len = values[0].len();
    let (mut at, wide) = (0, N / 4);
    // A few columns for all rows, so that they stay in the nearest cache.
    while at + wide <= len {
        column_values(lanes, weights, first, values, out, at, wide);
        at += wide;
    }
    while at < len {
        column_values(lanes, weights, first, values, out, at, 1);
        at += 1;
    }
}

/// The same for the `wide` vectors from `at` on.
#[inline(always)]
fn column_values<const N: usize, L: Lanes<N>, E: Stored>(
    lanes: L,
    weights: &[f32],
    first: usize,
    values: &[&[[E; N]]],
    out: &mut [f32],
    at: usize,
    wide: usize,
) {
    let mut out = (out.as_chunks_mut::<N>().0).chunks_exact_mut(values[0].len());
    let mut weights = (weights.chunks_exact(CHUNK)).map(|row| &row[first..]);
    while let (Some(o), Some(w)) = (out.next(), weights.next()) {
        if out.len() < 3 {
            weighted_sums(lanes, [w], values, &mut [o], at, wide);
            continue;
        }
        let mut next = || out.next().zip(weights.next());
        if let (Some((o1, w1)), Some((o2, w2)), Some((o3, w3))) = (next(), next(), next()) {
            let out = &mut [o, o1, o2, o3];
            weighted_sums(lanes, [w, w1, w2, w3], values, out, at, wide);
        }
    }
}

pub(super) fn intersection(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}
