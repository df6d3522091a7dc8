//! Activations as integers: what a matrix of int8 or 4-bit weights is multiplied by.

use std::cell::Cell;

use super::{
    Kernel,
    lanes::Lanes,
    tile::{BLOCK, Bits, QUADS},
};
use crate::kernels::{Threads, functions::ROUND};

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

thread_local! {
    /// The words of the last activations, for the next ones: memory that is new is slow to come by.
    static WORDS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
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
            words: WORDS.take(),
        };
        let stride = new.stride();
        new.words.resize(new.count * stride, 0);
        let job = |token: usize, line: &mut [u32]| {
            kernel.quantise(&x[token * cols..(token + 1) * cols], line, bits);
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

impl Drop for Activations {
    fn drop(&mut self) {
        WORDS.set(std::mem::take(&mut self.words));
    }
}

/// One token's line of [`Activations::words`]. Compiled for each kernel, with the same result. No closures in here: they
/// would be compiled without the kernel's instructions.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
pub(in crate::kernels) unsafe fn quantise<L: Lanes>(x: &[f32], line: &mut [u32], bits: Bits) {
    let blocks = x.len().div_ceil(BLOCK);
    let width = QUADS * if L::WIDE { 2 } else { 1 };
    let (quads, rest) = line.split_at_mut(blocks * width);
    let (scales, starts) = rest.split_at_mut(blocks);
    for block in 0..blocks {
        let mut padded = [0.0; BLOCK];
        let values = if let Some(whole) = x[block * BLOCK..].first_chunk() {
            whole
        } else {
            let rest = &x[block * BLOCK..];
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        };
        // SAFETY: as for this function.
        let (scale, sum) = unsafe { L::round(values, &mut quads[block * width..][..width]) };
        scales[block] = scale.to_bits();
        starts[block] = (-bits.offset() * sum) as u32;
    }
}

/// The scale of a block whose largest value has these bits, without its sign, and the scale's inverse: none for a block
/// of zeros. What is not a number or not finite makes the scale so, and with it every product.
#[inline(always)]
pub(in crate::kernels) fn scale_and_inverse(largest: u32) -> Option<(f32, f32)> {
    if largest < SMALLEST.to_bits() {
        return None;
    }
    let largest = f32::from_bits(largest);
    Some((largest / LARGEST, LARGEST / largest))
}

/// [`Lanes::round`], as the compiler makes it.
#[inline(always)]
pub(in crate::kernels) fn round(
    values: &[f32; BLOCK],
    quads: &mut [u32],
    wide: bool,
) -> (f32, i32) {
    // As integers, absolute values compare as they do as floats, and NaN is the greatest.
    let mut largest = 0;
    for value in values {
        largest = largest.max(value.to_bits() & 0x7fff_ffff);
    }
    let Some((scale, inverse)) = scale_and_inverse(largest) else {
        quads.fill(0);
        return (0.0, 0);
    };
    let mut q = [0; BLOCK];
    let mut sum = 0;
    for i in 0..BLOCK {
        q[i] = i32::from((values[i] * inverse + ROUND).to_bits() as i8);
        sum += q[i];
    }
    if wide {
        let (pairs, _) = quads.as_chunks_mut::<2>();
        for (i, [even, odd]) in pairs.iter_mut().enumerate() {
            *even = (q[4 * i] & 0xffff) as u32 | (q[4 * i + 2] << 16) as u32;
            *odd = (q[4 * i + 1] & 0xffff) as u32 | (q[4 * i + 3] << 16) as u32;
        }
    } else {
        let (fours, _) = q.as_chunks::<4>();
        for (quad, q) in quads.iter_mut().zip(fours) {
            *quad = u32::from_le_bytes([q[0] as u8, q[1] as u8, q[2] as u8, q[3] as u8]);
        }
    }
    (scale, sum)
}
