//! Weights in the order in which the kernels read them.

use super::tile::{BLOCK, Bits, QUADS, ROWS};
use crate::kernels::{Buffer, Threads, Values};

/// Tiles of 16 rows one behind the other: what `tile` reads. Rows and columns that are missing are zeros.
pub(in crate::kernels) fn tiles(
    threads: &Threads,
    rows: usize,
    cols: usize,
    values: &Values,
    bits: Bits,
) -> Buffer {
    let blocks = cols.div_ceil(BLOCK);
    let size = bits.tile_bytes(blocks);
    Buffer::build(rows.div_ceil(ROWS) * size, |bytes| {
        threads.chunks(bytes, size, &|tile, bytes| {
            let (weights, scales) = bytes.split_at_mut(blocks * bits.block_bytes());
            let (scales, _) = scales.as_chunks_mut::<{ 2 * ROWS }>();
            let each = weights.chunks_exact_mut(bits.block_bytes()).zip(scales);
            for (block, (weights, scales)) in each.enumerate() {
                let (scales, _) = scales.as_chunks_mut::<2>();
                for (row, scale) in scales.iter_mut().enumerate() {
                    let at = (tile * ROWS + row, block * BLOCK);
                    *scale = put(values, rows, cols, at, bits, row, weights);
                }
            }
        });
    })
}

/// Puts a row's part of a block into its places, and gives its scale.
fn put(
    values: &Values,
    rows: usize,
    cols: usize,
    (row, col): (usize, usize),
    bits: Bits,
    lane: usize,
    weights: &mut [u8],
) -> [u8; 2] {
    let at = row * cols + col;
    let len = if row < rows { BLOCK.min(cols - col) } else { 0 };
    match bits {
        Bits::Eight => {
            let (scale, q) = values.q8(at, len);
            for (i, q) in q.into_iter().enumerate() {
                weights[i / 4 * 4 * ROWS + 4 * lane + i % 4] = unsigned(q);
            }
            scale.to_le_bytes()
        }
        Bits::Four => {
            let (scale, q) = values.q4(at, len);
            let (low, high) = q.split_at(BLOCK / 2);
            for (i, (low, high)) in low.iter().zip(high).enumerate() {
                weights[i / 4 * 4 * ROWS + 4 * lane + i % 4] = low | high << 4;
            }
            scale.to_le_bytes()
        }
    }
}

/// The weight at `row` and `col`.
pub(in crate::kernels) fn tile_value(
    tiles: &[u8],
    cols: usize,
    row: usize,
    col: usize,
    bits: Bits,
) -> f32 {
    let blocks = cols.div_ceil(BLOCK);
    let size = bits.tile_bytes(blocks);
    let (tile, lane) = (&tiles[row / ROWS * size..][..size], row % ROWS);
    let (block, i) = (col / BLOCK, col % BLOCK);
    let scale = blocks * bits.block_bytes() + 2 * (block * ROWS + lane);
    let weights = &tile[block * bits.block_bytes()..][..bits.block_bytes()];
    let place = |i: usize| usize::from(weights[i / 4 * 4 * ROWS + 4 * lane + i % 4]);
    let q = match bits {
        Bits::Eight => place(i),
        Bits::Four if i < BLOCK / 2 => place(i) & 15,
        Bits::Four => place(i - BLOCK / 2) >> 4,
    };
    (q as i32 - bits.offset()) as f32 * read_scale(&tile[scale..])
}

/// Bytes of a row of the row-major form: its weights, then its scales.
pub(in crate::kernels) fn row_bytes(cols: usize) -> usize {
    (cols.div_ceil(BLOCK) * (BLOCK + 2)).next_multiple_of(4)
}

/// Row by row, for matrices of which scattered rows are wanted.
pub(in crate::kernels) fn rows(
    threads: &Threads,
    rows: usize,
    cols: usize,
    values: &Values,
) -> Buffer {
    const ROWS_A_TASK: usize = 64;
    let size = row_bytes(cols);
    let blocks = cols.div_ceil(BLOCK);
    Buffer::build(rows * size, |bytes| {
        threads.chunks(bytes, size * ROWS_A_TASK, &|task, bytes| {
            for (i, line) in bytes.chunks_exact_mut(size).enumerate() {
                let at = (task * ROWS_A_TASK + i) * cols;
                let (weights, scales) = line.split_at_mut(blocks * BLOCK);
                let (weights, _) = weights.as_chunks_mut::<BLOCK>();
                let (scales, _) = scales.as_chunks_mut::<2>();
                for (block, (weights, to)) in weights.iter_mut().zip(scales).enumerate() {
                    let from = block * BLOCK;
                    let (scale, q) = values.q8(at + from, BLOCK.min(cols - from));
                    *weights = q.map(unsigned);
                    *to = scale.to_le_bytes();
                }
            }
        });
    })
}

/// Row `row` of the row-major form, widened.
pub(in crate::kernels) fn row(bytes: &[u8], cols: usize, row: usize) -> Vec<f32> {
    let size = row_bytes(cols);
    let line = &bytes[row * size..][..size];
    let (weights, scales) = line.split_at(cols.div_ceil(BLOCK) * BLOCK);
    let blocks = weights.chunks_exact(BLOCK).zip(scales.chunks_exact(2));
    let values = blocks.flat_map(|(weights, scale)| {
        let scale = read_scale(scale);
        let widen = move |w: &u8| (i32::from(*w) - Bits::Eight.offset()) as f32 * scale;
        weights.iter().map(widen)
    });
    values.take(cols).collect()
}

fn unsigned(q: i8) -> u8 {
    (i32::from(q) + Bits::Eight.offset()) as u8
}

fn read_scale(bytes: &[u8]) -> f32 {
    half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

// Four neighbouring columns of all rows of a tile are one register.
const _: () = assert!(QUADS * 4 * ROWS == Bits::Eight.block_bytes());
