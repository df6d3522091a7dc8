//! Products with chosen rows of a row-major matrix: the head, of which often only the rows of a few candidates are wanted.
//!
//! Sixteen rows at a time, neighbours or not. For several tokens they are laid out as a tile in the nearest cache; then the
//! same loops run as over matrices that are stored in tiles. For one token they are read where they are. The results are
//! the same bits, and a row costs what it weighs.

use std::cell::Cell;

use super::{
    activations::{Activations, Token},
    lanes::Lanes,
    tile::{self, BLOCK, Bits, Job, QUADS, ROWS, fetch},
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

impl RowsJob<'_> {
    /// Sixteen rows from the `at`-th of them on, and whatever lies behind each. Where there are no more it is the last one
    /// again, whose results are not to be kept.
    #[inline(always)]
    fn lines(&self, at: usize) -> [&[u8]; ROWS] {
        let mut lines: [&[u8]; ROWS] = [&[]; ROWS];
        for (lane, line) in lines.iter_mut().enumerate() {
            let row = self.rows.get((at + lane).min(self.rows.len() - 1));
            *line = &self.bytes[row * self.size..];
        }
        lines
    }

    /// Begins to read a part, of so many, of rows that come in a while.
    #[inline(always)]
    fn fetch_ahead(&self, at: usize, part: usize, parts: usize) {
        /// Neighbours are read on and on: 64 KiB ahead was the best on a Xeon.
        const NEIGHBOURS: usize = 6 * ROWS;
        let line = |row: usize| self.bytes.as_ptr().wrapping_add(row * self.size);
        match self.rows {
            // In the order of memory, which is faster by a tenth than a piece of each row.
            Rows::Range { first, .. } => {
                fetch_part(line(first + at + NEIGHBOURS), ROWS * self.size, part, parts);
            }
            Rows::These(rows) => {
                for row in rows.iter().skip(at + ROWS).take(ROWS) {
                    fetch_part(line(*row as usize), self.size, part, parts);
                }
            }
        }
    }
}

/// Fetches one of so many parts of what has `size` bytes.
#[inline(always)]
fn fetch_part(from: *const u8, size: usize, part: usize, parts: usize) {
    let size = size.div_ceil(parts);
    for line in (0..size).step_by(64) {
        fetch(from.wrapping_add(part * size + line));
    }
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
    let mut room = TILES.take();
    // SAFETY: as for this function.
    unsafe {
        if job.x.count == 1 {
            one_token::<L>(job, &mut room);
        } else {
            several_tokens::<L>(job, &mut room);
        }
    }
    TILES.set(room);
}

/// Rows where they are: laying them out would take longer than their products with one token.
///
/// # Safety
/// As for `multiply`.
#[inline(always)]
unsafe fn one_token<L: Lanes>(job: &RowsJob<'_>, scales: &mut Vec<u8>) {
    let blocks = job.x.blocks;
    let x = job.x.token(0);
    scales.resize(blocks * 2 * ROWS, 0);
    let mut at = 0;
    while at < job.rows.len() {
        let rows = job.lines(at);
        let mut all = [0.0f32; ROWS];
        // SAFETY: as for this function; rows and activations have as many blocks as are read.
        unsafe {
            lay_scales::<L>(&rows, blocks, scales);
            let mut acc = L::floats(0.0);
            let mut block = 0;
            while block + 1 < blocks {
                let mut from = [std::ptr::null(); ROWS];
                for lane in 0..ROWS {
                    from[lane] = rows[lane].as_ptr().wrapping_add(block * BLOCK);
                }
                job.fetch_ahead(at, block / 2, blocks.div_ceil(2));
                let starts = x.starts.wrapping_add(block).cast::<[i32; 2]>().read();
                let quads = x.quads.wrapping_add(block * x_block::<L>());
                let [first, second] = L::two_blocks(from, quads, starts);
                acc = add_block::<L>(acc, first, x, block, scales);
                acc = add_block::<L>(acc, second, x, block + 1, scales);
                block += 2;
            }
            if block < blocks {
                let sum = last_block::<L>(&rows, x, block);
                acc = add_block::<L>(acc, sum, x, block, scales);
            }
            L::store(acc, all.as_mut_ptr());
        }
        let rows = &all[..ROWS.min(job.rows.len() - at)];
        let out = job.out.wrapping_add(at);
        // SAFETY: the job has room for a result a row.
        unsafe { out.copy_from_nonoverlapping(rows.as_ptr(), rows.len()) };
        at += ROWS;
    }
}

/// Bytes of a block of activations.
const fn x_block<L: Lanes>() -> usize {
    if L::WIDE { 2 * BLOCK } else { BLOCK }
}

/// # Safety
/// As for `multiply`; there is such a block.
#[inline(always)]
unsafe fn add_block<L: Lanes>(
    acc: L::Floats,
    sum: L::Ints,
    x: Token,
    block: usize,
    scales: &[u8],
) -> L::Floats {
    // SAFETY: as for this function.
    unsafe {
        let scale = L::scales(scales[block * 2 * ROWS..][..2 * ROWS].as_ptr());
        let x_scale = x.scales.wrapping_add(block).read();
        L::add_scaled(acc, sum, scale, L::floats(x_scale))
    }
}

/// The products of a block that has no other to go with: with zeros.
///
/// # Safety
/// As for `multiply`; `block` is the last one.
#[inline(always)]
unsafe fn last_block<L: Lanes>(rows: &[&[u8]; ROWS], x: Token, block: usize) -> L::Ints {
    let mut padded = [[0u8; 2 * BLOCK]; ROWS];
    let mut from = [std::ptr::null(); ROWS];
    for lane in 0..ROWS {
        padded[lane][..BLOCK].copy_from_slice(&rows[lane][block * BLOCK..][..BLOCK]);
        from[lane] = padded[lane].as_ptr();
    }
    let mut quads = [0u8; 4 * BLOCK];
    // SAFETY: as for this function.
    unsafe {
        let of_block = x.quads.wrapping_add(block * x_block::<L>());
        of_block.copy_to_nonoverlapping(quads.as_mut_ptr(), x_block::<L>());
        let start = x.starts.wrapping_add(block).read();
        let [first, _] = L::two_blocks(from, quads.as_ptr(), [start, 0]);
        first
    }
}

/// Rows laid out as tiles.
///
/// # Safety
/// As for `multiply`.
#[inline(always)]
unsafe fn several_tokens<L: Lanes>(job: &RowsJob<'_>, room: &mut Vec<u8>) {
    let blocks = job.x.blocks;
    let tile = Bits::Eight.tile_bytes(blocks);
    room.resize(tile * AT_ONCE / ROWS, 0);
    let mut at = 0;
    while at < job.rows.len() {
        let rows = job.rows.part(at, AT_ONCE);
        for (i, tile) in room.chunks_exact_mut(tile).enumerate() {
            if i * ROWS < rows.len() {
                // SAFETY: as for this function.
                unsafe { lay::<L>(&job.lines(at + i * ROWS), blocks, tile) };
            }
        }
        // The rows that come next take the place of these: they are as far from there as the first of them from here.
        let next = match job.rows {
            Rows::Range { first, .. } => first + at + AT_ONCE,
            Rows::These(rows) => rows.get(at + AT_ONCE).map_or(0, |row| *row as usize),
        };
        let next = job.bytes.as_ptr().wrapping_add(next * job.size);
        let job = Job {
            bits: Bits::Eight,
            tiles: room,
            ahead: next.addr().wrapping_sub(room.as_ptr().addr()),
            x: job.x,
            out: job.out.wrapping_add(at),
            stride: job.stride,
            rows: rows.len(),
        };
        // SAFETY: as for this function; the tiles have as many blocks as `x`.
        unsafe { tile::multiply::<L>(&job) };
        at += AT_ONCE;
    }
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

/// The scales of sixteen rows, block by block.
///
/// # Safety
/// As for `lay`.
#[inline(always)]
unsafe fn lay_scales<L: Lanes>(rows: &[&[u8]; ROWS], blocks: usize, scales: &mut [u8]) {
    /// Blocks whose scales are turned at a time.
    const SCALES: usize = 32;
    let mut first = 0;
    while first < blocks {
        let count = SCALES.min(blocks - first);
        let at = blocks * BLOCK + 2 * first;
        let mut ends = [[0u8; 2 * SCALES]; ROWS];
        let mut from = [std::ptr::null(); ROWS];
        for lane in 0..ROWS {
            // What is read behind a row's end belongs to the next one, and is not used.
            from[lane] = if let Some(whole) = rows[lane].get(at..at + 2 * SCALES) {
                whole.as_ptr()
            } else {
                ends[lane][..2 * count].copy_from_slice(&rows[lane][at..][..2 * count]);
                ends[lane].as_ptr()
            };
        }
        // Those of two neighbouring blocks for each row.
        let mut pairs = [[0u8; 4 * ROWS]; SCALES / 2];
        // SAFETY: as for this function; there are 64 bytes at each place, and 1024 to be written.
        unsafe { L::transpose(from, pairs.as_mut_ptr().cast()) };
        let mut spare = [0u8; 2 * ROWS];
        let mut blocks = scales[first * 2 * ROWS..]
            .chunks_exact_mut(2 * ROWS)
            .take(count);
        for pair in &pairs {
            let Some(even) = blocks.next() else { break };
            let odd = blocks.next().unwrap_or(&mut spare);
            // SAFETY: as for this function; there are 64 bytes, and room for 32 in each place.
            unsafe { L::part(pair.as_ptr(), [even.as_mut_ptr(), odd.as_mut_ptr()]) };
        }
        first += count;
    }
}

const _: () = assert!(QUADS * 4 == BLOCK);
