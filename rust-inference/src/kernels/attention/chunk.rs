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
    lanes::Lanes,
    tile::{add_weighted, dots},
};

/// From this many query rows on, f16 is widened once for all of them, not by each again.
const WIDEN_FROM: usize = 12;

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
pub(super) struct Scratch {
    /// The queries, each filled up with zeros to whole vectors.
    queries: Vec<f32>,
    /// Of each row its product with each key of the chunk, then the weight of the value there.
    weights: Vec<f32>,
    /// The widened rows of a block.
    wide: Vec<f32>,
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

impl Scratch {
    #[inline(always)]
    pub(super) fn new(tile: &Tile<'_, '_>, width: usize) -> Self {
        let mut queries = vec![0.0; tile.queries.len() * width];
        for (query, place) in tile.queries.iter().zip(queries.chunks_exact_mut(width)) {
            place[..query.len()].copy_from_slice(query);
        }
        Self {
            queries,
            weights: vec![0.0; tile.queries.len() * CHUNK],
            wide: vec![0.0; BLOCK * width],
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
        out.values.fill(0.0);
        for block in blocks {
            self.add_values(lanes, tile, start, block, &seen, out.values);
        }
    }

    #[inline(always)]
    fn products<const N: usize, L: Lanes<N>>(
        &mut self,
        lanes: L,
        tile: &Tile<'_, '_>,
        start: usize,
        block: usize,
        seen: &Range<usize>,
    ) {
        let first = start + block * BLOCK;
        let (queries, at) = (&self.queries, block * BLOCK);
        if tile.queries.len() < WIDEN_FROM
            && let Some(keys) = tile.keys.rows::<N, f16>(Side::Keys, first, seen)
        {
            return block_products(lanes, queries, &keys, at, &mut self.weights);
        }
        if let Some(keys) = tile.keys.rows::<N, f32>(Side::Keys, first, seen) {
            return block_products(lanes, queries, &keys, at, &mut self.weights);
        }
        (tile.keys).widen(lanes, Side::Keys, first, seen, &mut self.wide);
        let keys = block_rows(&self.wide);
        block_products(lanes, queries, &keys, at, &mut self.weights);
    }

    #[inline(always)]
    fn add_values<const N: usize, L: Lanes<N>>(
        &mut self,
        lanes: L,
        tile: &Tile<'_, '_>,
        start: usize,
        block: usize,
        seen: &Range<usize>,
        out: &mut [f32],
    ) {
        let first = start + block * BLOCK;
        let (weights, at) = (&self.weights, block * BLOCK);
        if tile.queries.len() < WIDEN_FROM
            && let Some(values) = tile.keys.rows::<N, f16>(Side::Values, first, seen)
        {
            return block_values(lanes, weights, &values, at, out);
        }
        if let Some(values) = tile.keys.rows::<N, f32>(Side::Values, first, seen) {
            return block_values(lanes, weights, &values, at, out);
        }
        (tile.keys).widen(lanes, Side::Values, first, seen, &mut self.wide);
        let values = block_rows(&self.wide);
        block_values(lanes, weights, &values, at, out);
    }
}

#[inline(always)]
fn block_rows<const N: usize>(wide: &[f32]) -> [&[[f32; N]]; BLOCK] {
    let vectors = wide.as_chunks::<N>().0;
    let len = vectors.len() / BLOCK;
    let mut rows = [&vectors[..len]; BLOCK];
    for (row, place) in vectors.chunks_exact(len).zip(&mut rows) {
        *place = row;
    }
    rows
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

/// Adds the weighted values of the block at `at` to all rows of `out`.
#[inline(always)]
fn block_values<const N: usize, L: Lanes<N>, E: Stored>(
    lanes: L,
    weights: &[f32],
    values: &[&[[E; N]]; BLOCK],
    at: usize,
    out: &mut [f32],
) {
    let len = values[0].len();
    let mut out = out.as_chunks_mut::<N>().0.chunks_exact_mut(len);
    let mut weights = (weights.chunks_exact(CHUNK)).map(|row| &row[at..at + BLOCK]);
    while let (Some(o), Some(w)) = (out.next(), weights.next()) {
        if out.len() < 3 {
            add_weighted(lanes, [w], values, [o]);
            continue;
        }
        let mut next = || out.next().zip(weights.next());
        if let (Some((o1, w1)), Some((o2, w2)), Some((o3, w3))) = (next(), next(), next()) {
            add_weighted(lanes, [w, w1, w2, w3], values, [o, o1, o2, o3]);
        }
    }
}

pub(super) fn intersection(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}
