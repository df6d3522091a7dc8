//! Products of packed weights with activations: the loops, written once for all instruction sets.
//!
//! A tile is 16 rows of a matrix. Its columns are in blocks of 32, and each row has a scale for each block. Weights are
//! stored without sign (`q + offset`), because the instructions want one factor so; sums of products start
//! at what takes the offset out again, which is exact and costs nothing. What is computed for a row and a token,
//! whatever the kernel and whatever the batch:
//!
//! `for each block, in order: acc = fma(float(Σ w · x), w_scale · x_scale, acc)`

use super::{
    activations::{Activations, Token},
    lanes::Lanes,
};

/// Rows of a tile.
pub(in crate::kernels) const ROWS: usize = 16;
/// Columns that share a scale.
pub(in crate::kernels) const BLOCK: usize = 32;
/// Groups of four columns, which one instruction multiplies, in a block.
pub(in crate::kernels) const QUADS: usize = BLOCK / 4;
/// Bytes of a block's scales.
const SCALES: usize = 2 * ROWS;

/// What a weight is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) enum Bits {
    Four,
    Eight,
}

impl Bits {
    /// What is added to a weight so that it has no sign.
    pub(in crate::kernels) const fn offset(self) -> i32 {
        match self {
            Self::Four => 8,
            Self::Eight => 128,
        }
    }

    /// Bytes of a block's weights in a tile.
    pub(in crate::kernels) const fn block_bytes(self) -> usize {
        match self {
            Self::Four => ROWS * BLOCK / 2,
            Self::Eight => ROWS * BLOCK,
        }
    }

    /// Bytes of a tile: the weights of all blocks, then their scales, up to a whole cache line.
    pub(in crate::kernels) const fn tile_bytes(self, blocks: usize) -> usize {
        (blocks * (self.block_bytes() + SCALES)).next_multiple_of(64)
    }
}

/// Neighbouring tiles, to be multiplied by all tokens.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Job<'a> {
    pub(in crate::kernels) bits: Bits,
    pub(in crate::kernels) tiles: &'a [u8],
    /// How many bytes behind a weight lies what is fetched meanwhile, for later.
    pub(in crate::kernels) ahead: usize,
    pub(in crate::kernels) x: &'a Activations,
    /// Where the first token's product with the first row goes.
    pub(in crate::kernels) out: *mut f32,
    /// From a token's results to the next one's.
    pub(in crate::kernels) stride: usize,
    /// Rows that have results: those behind them are padding.
    pub(in crate::kernels) rows: usize,
}

/// # Safety
/// The processor has the instructions of `L`, `job.x` was made for them and has as many columns as the tiles, and `job.out` is
/// for this call alone.
#[inline(always)]
pub(in crate::kernels) unsafe fn multiply<L: Lanes>(job: &Job<'_>) {
    // SAFETY: as for this function.
    unsafe {
        match job.bits {
            Bits::Four => multiply_bits::<L, true>(job),
            Bits::Eight => multiply_bits::<L, false>(job),
        }
    }
}

#[inline(always)]
unsafe fn multiply_bits<L: Lanes, const FOUR: bool>(job: &Job<'_>) {
    let size = job.bits.tile_bytes(job.x.blocks);
    let mut at = 0;
    while at + 2 * ROWS <= job.rows {
        let tiles = &job.tiles[at / ROWS * size..][..2 * size];
        // SAFETY: as for this function.
        unsafe { all_tokens::<L, FOUR, 2>(job, tiles, at) };
        at += 2 * ROWS;
    }
    while at < job.rows {
        let tiles = &job.tiles[at / ROWS * size..][..size];
        // SAFETY: as for this function.
        unsafe { all_tokens::<L, FOUR, 1>(job, tiles, at) };
        at += ROWS;
    }
}

#[inline(always)]
unsafe fn all_tokens<L: Lanes, const FOUR: bool, const TILES: usize>(
    job: &Job<'_>,
    tiles: &[u8],
    row: usize,
) {
    let groups = job.x.count.div_ceil(L::TOKENS);
    let mut token = 0;
    for group in 0..groups {
        // Groups of nearly the same size: two of four tokens rather than one of six and one of two.
        let size = (job.x.count - token).div_ceil(groups - group);
        // SAFETY: as for this function.
        unsafe {
            match size {
                1 => block::<L, FOUR, 1, TILES>(job, tiles, token, row),
                2 => block::<L, FOUR, 2, TILES>(job, tiles, token, row),
                // What is beyond `L::TOKENS` is never reached, and not compiled.
                _ if L::TOKENS <= 2 => {}
                3 => block::<L, FOUR, 3, TILES>(job, tiles, token, row),
                4 => block::<L, FOUR, 4, TILES>(job, tiles, token, row),
                5 => block::<L, FOUR, 5, TILES>(job, tiles, token, row),
                _ => block::<L, FOUR, 6, TILES>(job, tiles, token, row),
            }
        }
        token += size;
    }
}

/// `N` tokens by `TILES` tiles, over all columns, with the sums in registers.
#[inline(always)]
unsafe fn block<L: Lanes, const FOUR: bool, const N: usize, const TILES: usize>(
    job: &Job<'_>,
    tiles: &[u8],
    token: usize,
    row: usize,
) {
    let bits = if FOUR { Bits::Four } else { Bits::Eight };
    let blocks = job.x.blocks;
    let size = bits.tile_bytes(blocks);
    let quad = if L::WIDE { 8 } else { 4 };
    let weights: [*const u8; TILES] =
        std::array::from_fn(|tile| tiles[tile * size..][..size].as_ptr());
    let tokens: [Token; N] = std::array::from_fn(|i| job.x.token(token + i));
    // SAFETY: the caller's processor has the instructions; tiles and activations have `blocks` blocks of what is read.
    unsafe {
        // No closures in here: they would be compiled without the instructions, and not always be inlined.
        let mut acc = [[L::floats(0.0); TILES]; N];
        for block in 0..blocks {
            let mut sums = [[L::ints(0); TILES]; N];
            let mut x_at = [std::ptr::null(); N];
            for n in 0..N {
                let start = tokens[n].starts.wrapping_add(block).read();
                sums[n] = [L::ints(start); TILES];
                x_at[n] = tokens[n].quads.wrapping_add(block * QUADS * quad);
            }
            let at = block * bits.block_bytes();
            if FOUR {
                for i in 0..QUADS / 2 {
                    let mut low = [L::quads(weights[0]); TILES];
                    let mut high = low;
                    for t in 0..TILES {
                        (low[t], high[t]) = L::half_quads(weights[t].wrapping_add(at + 64 * i));
                        fetch(weights[t].wrapping_add(at + 64 * i).wrapping_add(job.ahead));
                    }
                    step::<L, N, TILES>(&mut sums, low, x_at, quad * i);
                    step::<L, N, TILES>(&mut sums, high, x_at, quad * (i + QUADS / 2));
                }
            } else {
                for i in 0..QUADS {
                    let mut w = [L::quads(weights[0]); TILES];
                    for t in 0..TILES {
                        w[t] = L::quads(weights[t].wrapping_add(at + 64 * i));
                        fetch(weights[t].wrapping_add(at + 64 * i).wrapping_add(job.ahead));
                    }
                    step::<L, N, TILES>(&mut sums, w, x_at, quad * i);
                }
            }
            for t in 0..TILES {
                let at = blocks * bits.block_bytes() + block * SCALES;
                let scale = L::scales(weights[t].wrapping_add(at));
                for n in 0..N {
                    let x_scale = tokens[n].scales.wrapping_add(block).read();
                    acc[n][t] = L::add_scaled(acc[n][t], sums[n][t], scale, L::floats(x_scale));
                }
            }
        }
        for (n, acc) in acc.into_iter().enumerate() {
            let out = job.out.wrapping_add((token + n) * job.stride + row);
            for (t, acc) in acc.into_iter().enumerate() {
                let out = out.wrapping_add(t * ROWS);
                let rows = job.rows - row - t * ROWS;
                if rows >= ROWS {
                    L::store(acc, out);
                } else {
                    let mut all = [0.0f32; ROWS];
                    L::store(acc, all.as_mut_ptr());
                    out.copy_from_nonoverlapping(all.as_ptr(), rows);
                }
            }
        }
    }
}

/// How far ahead of the products weights are fetched, of a matrix: two pairs of tiles. Without it a processor reads ahead too little by
/// itself, and does not begin with the next tiles before it is there: on two cores of a Xeon each reads 15 GB/s, with it 17.
pub(in crate::kernels) const fn ahead(bits: Bits, blocks: usize) -> usize {
    4 * bits.tile_bytes(blocks)
}

/// Has the processor begin to read what will be wanted, into the second cache: the first is too small for so much.
#[inline(always)]
pub(in crate::kernels) fn fetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that every processor of the target has, and that never faults, wherever it points.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Four columns: `N` × `TILES` instructions for `N` + `TILES` reads.
#[inline(always)]
unsafe fn step<L: Lanes, const N: usize, const TILES: usize>(
    sums: &mut [[L::Ints; TILES]; N],
    w: [L::Quads; TILES],
    x: [*const u8; N],
    at: usize,
) {
    for n in 0..N {
        // SAFETY: the caller's processor has the instructions, and the activations have this quad.
        unsafe {
            let x = L::x(x[n].wrapping_add(at));
            for t in 0..TILES {
                sums[n][t] = L::dot(sums[n][t], w[t], x);
            }
        }
    }
}
