//! Activations as integers: what a matrix of int8 or 4-bit weights is multiplied by.

use super::{
    Kernel,
    tile::{BLOCK, Bits, QUADS},
};
use crate::kernels::Threads;

/// Rows of activations in blocks of 32, each with a scale: `x ≈ scale · q`, `q` from -127 to 127, rounded half to even.
/// Columns behind the last are zeros.
#[derive(Debug)]
pub(in crate::kernels) struct Activations {
    /// Tokens.
    pub(in crate::kernels) count: usize,
    /// Blocks of a token.
    pub(in crate::kernels) blocks: usize,
    /// Whether `q` is kept in 16 bits, as [`super::lanes::Lanes::WIDE`] says, or in 8.
    wide: bool,
    /// A line for each token: its `q`, then a scale for each block, then for each block where its sum of products
    /// starts: at what takes the weights' offset out again.
    words: Vec<u32>,
}

/// Where a token's line is: a scale and a start for each block.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Token {
    pub(in crate::kernels) quads: *const u8,
    pub(in crate::kernels) scales: *const f32,
    pub(in crate::kernels) starts: *const i32,
}

/// Below this many values the calling thread is done before others are awake.
const PARALLEL_FROM: usize = 1 << 14;
/// The largest `q`.
const LARGEST: f32 = 127.0;
/// Blocks whose values are all smaller than this are zero: their scale's inverse could overflow.
const SMALLEST: f32 = 1e-30;

impl Activations {
    /// Rows of `cols` values, for weights of `bits`.
    pub(in crate::kernels) fn new(
        kernel: Kernel,
        threads: &Threads,
        x: &[f32],
        cols: usize,
        bits: Bits,
    ) -> Self {
        let wide = kernel.wide();
        let blocks = cols.div_ceil(BLOCK);
        let mut new = Self {
            count: x.len() / cols,
            blocks,
            wide,
            words: Vec::new(),
        };
        let stride = new.stride();
        new.words = vec![0; new.count * stride];
        let job = |token: usize, line: &mut [u32]| {
            kernel.quantise(&x[token * cols..(token + 1) * cols], line, wide, bits);
        };
        if x.len() < PARALLEL_FROM {
            for (token, line) in new.words.chunks_exact_mut(stride).enumerate() {
                job(token, line);
            }
        } else {
            threads.chunks(&mut new.words, stride, &job);
        }
        new
    }

    /// Words of a line: whole cache lines.
    fn stride(&self) -> usize {
        (self.quads() + 2 * self.blocks).next_multiple_of(16)
    }

    /// Words of `q` in a line.
    fn quads(&self) -> usize {
        self.blocks * QUADS * if self.wide { 2 } else { 1 }
    }

    pub(in crate::kernels) fn token(&self, token: usize) -> Token {
        let line = &self.words[token * self.stride()..(token + 1) * self.stride()];
        let (quads, rest) = line.split_at(self.quads());
        let (scales, starts) = rest.split_at(self.blocks);
        Token {
            quads: quads.as_ptr().cast(),
            scales: scales.as_ptr().cast(),
            starts: starts.as_ptr().cast(),
        }
    }
}

/// One token's line of [`Activations::words`]. Compiled for each kernel, with the same result.
#[inline(always)]
pub(in crate::kernels) fn quantise(x: &[f32], line: &mut [u32], wide: bool, bits: Bits) {
    let blocks = x.len().div_ceil(BLOCK);
    let width = QUADS * if wide { 2 } else { 1 };
    let (quads, rest) = line.split_at_mut(blocks * width);
    let (scales, starts) = rest.split_at_mut(blocks);
    for (block, x) in x.chunks(BLOCK).enumerate() {
        let mut values = [0.0; BLOCK];
        values[..x.len()].copy_from_slice(x);
        let (scale, q) = round(&values);
        scales[block] = scale.to_bits();
        let sum: i32 = q.iter().sum();
        starts[block] = (-bits.offset() * sum) as u32;
        let quads = &mut quads[block * width..][..width];
        let (fours, _) = q.as_chunks::<4>();
        if wide {
            let (pairs, _) = quads.as_chunks_mut::<2>();
            for ([even, odd], q) in pairs.iter_mut().zip(fours) {
                *even = (q[0] & 0xffff) as u32 | (q[2] << 16) as u32;
                *odd = (q[1] & 0xffff) as u32 | (q[3] << 16) as u32;
            }
        } else {
            for (quad, q) in quads.iter_mut().zip(fours) {
                *quad = u32::from_le_bytes(q.map(|q| q as u8));
            }
        }
    }
}

/// A scale and 32 integers. What is not a number or not finite makes the scale so, and with it every product.
#[inline(always)]
fn round(values: &[f32; BLOCK]) -> (f32, [i32; BLOCK]) {
    /// Added to a number below 2²², this leaves the nearest integer in the lowest bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // As integers, absolute values compare as they do as floats, and NaN is the greatest.
    let largest = values
        .iter()
        .map(|value| value.to_bits() & 0x7fff_ffff)
        .fold(0, u32::max);
    if largest < SMALLEST.to_bits() {
        return (0.0, [0; BLOCK]);
    }
    let largest = f32::from_bits(largest);
    let inverse = LARGEST / largest;
    let q = values.map(|value| i32::from((value * inverse + ROUND).to_bits() as i8));
    (largest / LARGEST, q)
}
