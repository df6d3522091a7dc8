//! A matrix's products with activations: which loops run over it, and how the threads share them.
//!
//! Rows are what is shared: each result is computed by one thread from its row's first column to its last, so what
//! comes out does not depend on how many threads there are, nor on what other tokens there are.

use half::bf16;

use super::{
    Format, Kernel, Level, Matrix, Threads,
    packed::{self, Activations, Bits, Job, ROWS, Rows, RowsJob},
};

/// Below this many multiplications the work is done by the calling thread: waking others would cost more.
const PARALLEL_FROM: usize = 1 << 20;
/// The same for packed matrices, whose multiplications are faster.
const PACKED_PARALLEL_FROM: usize = 1 << 18;
/// Rows that one thread takes at a time.
const ROWS_A_TASK: usize = 64;
/// Pieces of work for each thread, so that one that is held up leaves little to wait for.
const TASKS_A_THREAD: usize = 8;

impl Matrix {
    /// The products of all rows, or of `chosen` ones, with `x`.
    pub(super) fn products(
        &self,
        kernel: Kernel,
        threads: &Threads,
        chosen: Option<&[u32]>,
        x: &[f32],
    ) -> Vec<f32> {
        let n = x.len() / self.cols();
        assert_eq!(
            n * self.cols(),
            x.len(),
            "activations of {} values for a matrix of {} columns",
            x.len(),
            self.cols()
        );
        let count = chosen.map_or(self.rows(), <[u32]>::len);
        if n == 0 || count == 0 {
            return Vec::new();
        }
        match (self.format(), chosen) {
            (Format::Q8Rows, _) => {
                let all = Rows::Range {
                    first: 0,
                    count: self.rows(),
                };
                self.row_products(kernel, threads, chosen.map_or(all, Rows::These), x)
            }
            (Format::Q8Tiles, None) => self.tile_products(kernel, threads, Bits::Eight, x),
            (Format::Q4Tiles, None) => self.tile_products(kernel, threads, Bits::Four, x),
            (Format::Q8Tiles | Format::Q4Tiles, Some(chosen)) => {
                // Nobody asks a body's matrix for rows: all are computed.
                let all = self.products(kernel, threads, None, x);
                let of_token = |all: &[f32]| -> Vec<f32> {
                    chosen.iter().map(|row| all[*row as usize]).collect()
                };
                all.chunks_exact(self.rows()).flat_map(of_token).collect()
            }
            (Format::F32 | Format::Bf16, None) => self.plain_products(threads, count, |i| i, x),
            (Format::F32 | Format::Bf16, Some(rows)) => {
                self.plain_products(threads, count, |i| rows[i] as usize, x)
            }
        }
    }

    fn tile_products(&self, kernel: Kernel, threads: &Threads, bits: Bits, x: &[f32]) -> Vec<f32> {
        let x = Activations::new(kernel, threads, x, self.cols(), bits);
        let size = bits.tile_bytes(x.blocks);
        let mut out = vec![0.0; x.count * self.rows()];
        let to = Out(out.as_mut_ptr());
        self.share(threads, self.rows(), 2 * ROWS, x.count, &|first, rows| {
            let job = Job {
                bits,
                tiles: &self.bytes()[first / ROWS * size..],
                x: &x,
                out: to.at(first),
                stride: self.rows(),
                rows,
            };
            // SAFETY: `x` was made for this kernel and of this matrix's columns. No other call writes these rows' results.
            unsafe { kernel.multiply(&job) };
        });
        out
    }

    fn row_products(
        &self,
        kernel: Kernel,
        threads: &Threads,
        rows: Rows<'_>,
        x: &[f32],
    ) -> Vec<f32> {
        let x = Activations::new(kernel, threads, x, self.cols(), Bits::Eight);
        let mut out = vec![0.0; x.count * rows.len()];
        let to = Out(out.as_mut_ptr());
        self.share(threads, rows.len(), 2 * ROWS, x.count, &|first, count| {
            let job = RowsJob {
                bytes: self.bytes(),
                size: packed::row_bytes(self.cols()),
                rows: rows.part(first, count),
                x: &x,
                out: to.at(first),
                stride: rows.len(),
            };
            // SAFETY: `x` was made for this kernel and of this matrix's columns. No other call writes these rows' results.
            unsafe { kernel.multiply_rows(&job) };
        });
        out
    }

    /// Runs `task(first, count)` for pieces of `rows` rows: multiples of `unit`, but for the last.
    fn share(
        &self,
        threads: &Threads,
        rows: usize,
        unit: usize,
        n: usize,
        task: &(dyn Fn(usize, usize) + Sync),
    ) {
        let tasks = if rows * self.cols() * n < PACKED_PARALLEL_FROM {
            1
        } else {
            threads.count() * TASKS_A_THREAD
        };
        let size = rows.div_ceil(tasks).next_multiple_of(unit);
        if size >= rows {
            return task(0, rows);
        }
        threads.run(rows.div_ceil(size), &|i| {
            task(i * size, size.min(rows - i * size));
        });
    }

    /// The products of `count` rows, of which the i-th is `row(i)`, with `x`.
    fn plain_products(
        &self,
        threads: &Threads,
        count: usize,
        row: impl Fn(usize) -> usize + Sync,
        x: &[f32],
    ) -> Vec<f32> {
        let n = x.len() / self.cols();
        let level = Level::best();
        // Made row by row (each weight row is read once for all n tokens), then turned round.
        let mut by_row = vec![0.0f32; count * n];
        let work = |task: usize, out: &mut [f32]| {
            for (i, out) in out.chunks_exact_mut(n).enumerate() {
                self.row_times(level, row(task * ROWS_A_TASK + i), x, out);
            }
        };
        if count * self.cols() * n < PARALLEL_FROM {
            by_row
                .chunks_mut(ROWS_A_TASK * n)
                .enumerate()
                .for_each(|(task, out)| work(task, out));
        } else {
            threads.chunks(&mut by_row, ROWS_A_TASK * n, &work);
        }
        if n == 1 {
            by_row
        } else {
            transpose(&by_row, count, n)
        }
    }

    fn row_times(&self, level: Level, row: usize, x: &[f32], out: &mut [f32]) {
        let range = row * self.cols()..(row + 1) * self.cols();
        let tokens = x.chunks_exact(self.cols()).zip(out);
        if self.format() == Format::F32 {
            let w = &self.plain::<f32>()[range];
            tokens.for_each(|(x, out)| *out = level.dot(x, w));
            return;
        }
        let w = &self.plain::<bf16>()[range];
        if x.len() > 4 * self.cols() {
            // For many tokens the row is widened once.
            let wide: Vec<f32> = w.iter().map(|v| v.to_f32()).collect();
            tokens.for_each(|(x, out)| *out = level.dot(x, &wide));
        } else {
            tokens.for_each(|(x, out)| *out = level.dot_bf16(x, w));
        }
    }
}

/// Results that several threads write, each its own rows'.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: who writes through it sees to it that nobody else writes there.
unsafe impl Sync for Out {}

impl Out {
    fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

fn transpose(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(cols).enumerate() {
        for (col, &value) in line.iter().enumerate() {
            out[col * rows + row] = value;
        }
    }
    out
}
