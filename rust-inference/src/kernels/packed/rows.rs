//! Products with chosen rows of a row-major matrix: the head, of which often only the rows of a few candidates are wanted.
//!
//! Sixteen rows at a time, neighbours or not, are laid out as a tile in the nearest cache; then the same loops run as
//! over matrices that are stored in tiles, so the results are the same bits. A row costs what it weighs.

use std::cell::Cell;

use super::{
    activations::Activations,
    lanes::Lanes,
    tile::{self, BLOCK, Bits, Job, QUADS, ROWS},
};

/// Rows to be multiplied by all tokens.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct RowsJob<'a> {
    /// All rows of the matrix, one behind the other.
    pub(in crate::kernels) bytes: &'a [u8],
    /// Bytes of a row.
    pub(in crate::kernels) size: usize,
    pub(in crate::kernels) rows: Rows<'a>,
    pub(in crate::kernels) x: &'a Activations,
    /// Where the first token's product with the first row goes.
    pub(in crate::kernels) out: *mut f32,
    /// From a token's results to the next one's.
    pub(in crate::kernels) stride: usize,
}

/// Which rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) enum Rows<'a> {
    /// `count` rows from `first` on.
    Range {
        first: usize,
        count: usize,
    },
    These(&'a [u32]),
}

impl Rows<'_> {
    pub(in crate::kernels) fn len(self) -> usize {
        match self {
            Self::Range { count, .. } => count,
            Self::These(rows) => rows.len(),
        }
    }

    fn get(self, i: usize) -> usize {
        match self {
            Self::Range { first, .. } => first + i,
            Self::These(rows) => rows[i] as usize,
        }
    }

    /// `size` of them, from the `at`-th on, or as many as there are.
    pub(in crate::kernels) fn part(self, at: usize, size: usize) -> Self {
        let count = size.min(self.len() - at);
        match self {
            Self::Range { first, .. } => Self::Range {
                first: first + at,
                count,
            },
            Self::These(rows) => Self::These(&rows[at..at + count]),
        }
    }
}

/// Rows that are laid out as tiles at a time.
const AT_ONCE: usize = 2 * ROWS;

thread_local! {
    /// Where rows are laid out, kept from one piece of work to the next. It is taken and set again, because a closure that
    /// borrows it would be compiled without the kernel's instructions.
    static TILES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// # Safety
/// The processor has the instructions of `L`, `job.x` was made for them, and `job.out` is for this call alone.
#[inline(always)]
pub(in crate::kernels) unsafe fn multiply<L: Lanes>(job: &RowsJob<'_>) {
    let blocks = job.x.blocks;
    let tile = Bits::Eight.tile_bytes(blocks);
    let mut tiles = TILES.take();
    tiles.resize(tile * AT_ONCE / ROWS, 0);
    let mut at = 0;
    while at < job.rows.len() {
        let rows = job.rows.part(at, AT_ONCE);
        for (i, tile) in tiles.chunks_exact_mut(tile).enumerate() {
            if i * ROWS < rows.len() {
                let line = |lane: usize| {
                    // Lanes behind the last row get it again, and their results are not stored.
                    let row = rows.get((i * ROWS + lane).min(rows.len() - 1));
                    &job.bytes[row * job.size..][..job.size]
                };
                // SAFETY: as for this function.
                unsafe { lay::<L>(&std::array::from_fn(line), blocks, tile) };
            }
        }
        let job = Job {
            bits: Bits::Eight,
            tiles: &tiles,
            x: job.x,
            out: job.out.wrapping_add(at),
            stride: job.stride,
            rows: rows.len(),
        };
        // SAFETY: as for this function; the tiles have as many blocks as `x`.
        unsafe { tile::multiply::<L>(&job) };
        at += AT_ONCE;
    }
    TILES.set(tiles);
}

/// Sixteen rows as a tile.
///
/// # Safety
/// The processor has the instructions of `L`.
#[inline(always)]
unsafe fn lay<L: Lanes>(rows: &[&[u8]; ROWS], blocks: usize, tile: &mut [u8]) {
    const PAIR: usize = 2 * BLOCK;
    let (weights, scales) = tile.split_at_mut(blocks * Bits::Eight.block_bytes());
    let pairs = blocks / 2;
    let (wide, narrow) = weights.split_at_mut(pairs * PAIR * ROWS);
    for (pair, to) in wide.chunks_exact_mut(PAIR * ROWS).enumerate() {
        let from = rows.map(|row| row[pair * PAIR..][..PAIR].as_ptr());
        // SAFETY: as for this function; there are 64 bytes at each place, and 1024 to be written.
        unsafe { L::transpose(from, to.as_mut_ptr()) };
    }
    // A block that has no other to go with.
    for (quad, to) in narrow.chunks_exact_mut(4 * ROWS).enumerate() {
        let (to, _) = to.as_chunks_mut::<4>();
        for (row, to) in rows.iter().zip(to) {
            to.copy_from_slice(&row[pairs * PAIR + 4 * quad..][..4]);
        }
    }
    // SAFETY: as for this function.
    unsafe { lay_scales::<L>(rows, blocks, scales) };
}

/// # Safety
/// As for `lay`.
#[inline(always)]
unsafe fn lay_scales<L: Lanes>(rows: &[&[u8]; ROWS], blocks: usize, scales: &mut [u8]) {
    /// Blocks whose scales are turned at a time.
    const SCALES: usize = 32;
    let mut first = 0;
    while first < blocks {
        let count = SCALES.min(blocks - first);
        let mut from = [[0u8; 2 * SCALES]; ROWS];
        for lane in 0..ROWS {
            let at = blocks * BLOCK + 2 * first;
            from[lane][..2 * count].copy_from_slice(&rows[lane][at..at + 2 * count]);
        }
        let mut places = [std::ptr::null(); ROWS];
        for lane in 0..ROWS {
            places[lane] = from[lane].as_ptr();
        }
        // Those of two neighbouring blocks for each row.
        let mut pairs = [[[0u8; 4]; ROWS]; SCALES / 2];
        // SAFETY: as for this function; there are 64 bytes at each place, and 1024 to be written.
        unsafe { L::transpose(places, pairs.as_mut_ptr().cast()) };
        for block in 0..count {
            let to = &mut scales[(first + block) * 2 * ROWS..][..2 * ROWS];
            let pair = &pairs[block / 2];
            for lane in 0..ROWS {
                let both = u32::from_le_bytes(pair[lane]) >> (16 * (block as u32 % 2));
                let [low, high, ..] = both.to_le_bytes();
                (to[2 * lane], to[2 * lane + 1]) = (low, high);
            }
        }
        first += count;
    }
}

const _: () = assert!(QUADS * 4 == BLOCK);
