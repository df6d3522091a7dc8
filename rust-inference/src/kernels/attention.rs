//! Attention of many queries, of one sequence or of several, over keys and values that are kept in parts.
//!
//! Positions are taken in chunks that begin at multiples of [`CHUNK`], whatever parts they are kept in and whichever
//! queries are computed together. Each chunk gives a query its largest score, the sum of the weights and the weighted
//! sum of the values; these are put together from the first chunk to the last. So the result of a query is the same to
//! the bit, whether a chunk was computed by a thread of its own or with all others, alone or with other queries. All
//! query heads that share a key head are computed together: what was read is used for all of them.

#![allow(clippy::inline_always)]

mod chunk;
mod keys;
mod softmax;
#[cfg(test)]
mod tests;

use std::{cell::Cell, ops::Range};

use half::f16;

use super::{
    Level, Threads,
    lanes::{Kernel, Lanes, WIDEST},
};
use chunk::{Rows, Scratch};
use keys::Keys;

/// Positions whose scores are computed before their weights are.
const CHUNK: usize = 128;
/// Query rows (queries × heads) that one task takes: enough to make the reading of keys and values cheap.
const ROWS_A_TASK: usize = 64;

thread_local! {
    /// What a task works in: memory that is new to the process is slow to come by.
    static BUFFER: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Keys and values of consecutive positions, for each `kv_heads × head_dim` numbers. All have to be finite.
#[derive(Clone, Copy, Debug)]
pub enum KvPart<'a> {
    F32 { keys: &'a [f32], values: &'a [f32] },
    F16 { keys: &'a [f16], values: &'a [f16] },
}

/// What all jobs have in common.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub heads: usize,
    /// Divides `heads`: query head h looks at key head h · `kv_heads` / `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// What products of queries with keys are multiplied with.
    pub scale: f32,
    pub softcap: Option<f32>,
    /// Positions that a query looks at, its own included; all up to its own if there is no window.
    pub window: Option<usize>,
}

/// Some consecutive positions of one sequence.
#[derive(Debug)]
pub struct AttentionJob<'a> {
    /// `heads × head_dim` numbers for each.
    pub queries: &'a [f32],
    /// The position of the first query.
    pub first_query: usize,
    /// The keys and values of all positions that the queries look at.
    pub parts: Vec<KvPart<'a>>,
    /// The position of the first row of the parts.
    pub first_key: usize,
    /// As long as `queries`.
    pub out: &'a mut [f32],
}

/// Some queries of one job with the heads that share a key head.
struct Tile<'a, 'j> {
    keys: Keys<'a>,
    /// The position of the first query.
    first_query: usize,
    /// One row a query and head.
    queries: Vec<&'a [f32]>,
    out: Vec<&'j mut [f32]>,
}

/// Computes all jobs.
///
/// # Panics
/// When queries, parts and outputs are not of the lengths that the shape says: a mistake of ours.
pub fn attention(threads: &Threads, shape: &AttentionShape, jobs: &mut [AttentionJob<'_>]) {
    attention_with(Level::best(), threads, shape, jobs);
}

fn attention_with(
    level: Level,
    threads: &Threads,
    shape: &AttentionShape,
    jobs: &mut [AttentionJob<'_>],
) {
    let mut tiles = tiles(shape, jobs);
    // Later queries look at more: the longest tasks go first, so that the threads end together.
    tiles.reverse();
    if threads.count() == 1 || tiles.len() >= 4 * threads.count() {
        threads.chunks(&mut tiles, 1, &|_, tiles| {
            for tile in tiles {
                level.run(WholeTile { shape, tile });
            }
        });
    } else {
        by_chunks(level, threads, shape, &mut tiles);
    }
}

/// Chunks that each query of a tile may be in parts of, as tasks of their own: for few queries that look at much.
fn by_chunks(level: Level, threads: &Threads, shape: &AttentionShape, tiles: &mut [Tile<'_, '_>]) {
    let width = shape.width();
    let most = tiles.iter().map(|tile| tile.queries.len()).max();
    let size = Rows::len(most.unwrap_or(0), width);
    let tasks: Vec<(usize, usize)> = (tiles.iter().enumerate())
        .flat_map(|(i, tile)| tile.chunks(shape).map(move |chunk| (i, chunk)))
        .collect();
    let mut found = vec![0.0; tasks.len() * size];
    threads.chunks(&mut found, size, &|task, found| {
        let (tile, chunk) = tasks[task];
        level.run(ChunkOfTile {
            shape,
            tile: &tiles[tile],
            chunk,
            found,
        });
    });
    let mut found = found.chunks_exact_mut(size);
    for tile in tiles {
        let chunks = found.by_ref().take(tile.chunks(shape).len());
        level.run(Together {
            chunks,
            width,
            tile,
        });
    }
}

fn tiles<'j>(shape: &AttentionShape, jobs: &'j mut [AttentionJob<'_>]) -> Vec<Tile<'j, 'j>> {
    let group = shape.group();
    let queries_a_task = (ROWS_A_TASK / group).max(1);
    let mut tiles = Vec::new();
    for job in jobs {
        assert_eq!(job.queries.len(), job.out.len(), "an output for each query");
        let row = shape.heads * shape.head_dim;
        let queries = (job.queries.chunks(queries_a_task * row))
            .zip(job.out.chunks_mut(queries_a_task * row));
        for (i, (queries, out)) in queries.enumerate() {
            let first_query = job.first_query + i * queries_a_task;
            let of_job = tiles.len();
            tiles.extend((0..shape.kv_heads).map(|head| Tile {
                keys: Keys::new(shape, &job.parts, job.first_key, head),
                first_query,
                queries: Vec::new(),
                out: Vec::new(),
            }));
            let heads = queries.chunks_exact(shape.head_dim);
            for (i, (query, out)) in heads.zip(out.chunks_exact_mut(shape.head_dim)).enumerate() {
                let tile = &mut tiles[of_job + i % shape.heads / group];
                tile.queries.push(query);
                tile.out.push(out);
            }
        }
    }
    for tile in &tiles {
        let seen = tile.seen(shape);
        assert!(
            tile.keys.start() <= seen.start && seen.end <= tile.keys.end(),
            "the keys from {} to {} are not all that queries at {seen:?} look at",
            tile.keys.start(),
            tile.keys.end(),
        );
    }
    tiles
}

impl AttentionShape {
    /// Query heads that share a key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// The positions that a query looks at.
    fn visible(&self, query: usize) -> Range<usize> {
        let window = self.window.unwrap_or(usize::MAX);
        (query + 1).saturating_sub(window)..query + 1
    }

    /// The numbers of a head with the zeros that fill its last vector, at any level.
    fn width(&self) -> usize {
        self.head_dim.next_multiple_of(WIDEST)
    }
}

impl Tile<'_, '_> {
    /// All positions that a query of the tile looks at.
    fn seen(&self, shape: &AttentionShape) -> Range<usize> {
        let last = self.first_query + (self.queries.len() / shape.group()).saturating_sub(1);
        shape.visible(self.first_query).start..shape.visible(last).end
    }

    fn chunks(&self, shape: &AttentionShape) -> Range<usize> {
        let seen = self.seen(shape);
        seen.start / CHUNK..seen.end.div_ceil(CHUNK)
    }
}

/// All of a tile, one chunk after the other.
struct WholeTile<'t, 'a, 'j> {
    shape: &'t AttentionShape,
    tile: &'t mut Tile<'a, 'j>,
}

impl Kernel for WholeTile<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let Self { shape, tile } = self;
        let (rows, width) = (tile.queries.len(), shape.width());
        let len = Rows::len(rows, width);
        let mut numbers = BUFFER.take();
        numbers.resize(2 * len + Scratch::len(rows, width), 0.0);
        let (all, rest) = numbers.split_at_mut(len);
        let (one, rest) = rest.split_at_mut(len);
        let (mut all, mut one) = (Rows::new(all, rows), Rows::new(one, rows));
        let mut scratch = Scratch::new(tile, width, rest);
        let chunks = tile.chunks(shape);
        let first = chunks.start;
        scratch.chunk(lanes, shape, tile, first, &mut all);
        for chunk in chunks.skip(1) {
            scratch.chunk(lanes, shape, tile, chunk, &mut one);
            all.add(lanes, &one);
        }
        all.write(&mut tile.out);
        BUFFER.set(numbers);
    }
}

/// One chunk of a tile, to `found`.
struct ChunkOfTile<'t, 'a, 'j> {
    shape: &'t AttentionShape,
    tile: &'t Tile<'a, 'j>,
    chunk: usize,
    found: &'t mut [f32],
}

impl Kernel for ChunkOfTile<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let (rows, width) = (self.tile.queries.len(), self.shape.width());
        let mut found = Rows::new(&mut self.found[..Rows::len(rows, width)], rows);
        let mut numbers = BUFFER.take();
        numbers.resize(Scratch::len(rows, width), 0.0);
        let mut scratch = Scratch::new(self.tile, width, &mut numbers);
        scratch.chunk(lanes, self.shape, self.tile, self.chunk, &mut found);
        BUFFER.set(numbers);
    }
}

/// What the chunks of a tile gave, put together.
struct Together<'t, 'a, 'j, I> {
    chunks: I,
    width: usize,
    tile: &'t mut Tile<'a, 'j>,
}

impl<'f, I: Iterator<Item = &'f mut [f32]>> Kernel for Together<'_, '_, '_, I> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let rows = self.tile.queries.len();
        let len = Rows::len(rows, self.width);
        let mut chunks = self.chunks.map(|found| Rows::new(&mut found[..len], rows));
        if let Some(mut all) = chunks.next() {
            for chunk in chunks {
                all.add(lanes, &chunk);
            }
            all.write(&mut self.tile.out);
        }
    }
}
