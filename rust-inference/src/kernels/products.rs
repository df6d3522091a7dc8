//! A matrix's products with activations: which loops run over it, and how the threads share them.
//!
//! Rows are what is shared: each result is computed by one thread from its row's first column to its last, so what
//! comes out does not depend on how many threads there are, nor on what other tokens there are.

use half::bf16;

use super::{
    Format, Kernel, Matrix, Threads, float_matrix,
    packed::{self, Activations, Bits, Job, ROWS, Rows, RowsJob},
};

/// Below this many multiplications the work is done by the calling thread: waking others would cost more.
const PARALLEL_FROM: usize = 1 << 18;
/// Pieces of work for each thread, so that one that is held up leaves little to wait for.
const TASKS_A_THREAD: usize = 8;

impl Matrix {
    /// The products of all rows, or of `chosen` ones, with `x`, put into `out` in the place of what is there.
    pub(super) fn products(
        &self,
        kernel: Kernel,
        threads: &Threads,
        chosen: Option<&[u32]>,
        x: &[f32],
        out: &mut [f32],
    ) {
        let n = x.len() / self.cols();
        assert_eq!(
            n * self.cols(),
            x.len(),
            "activations of {} values for a matrix of {} columns",
            x.len(),
            self.cols()
        );
        let count = chosen.map_or(self.rows(), <[u32]>::len);
        assert_eq!(n * count, out.len(), "room for other results");
        if out.is_empty() {
            return;
        }
        match (self.format(), chosen) {
            (Format::Q8Rows, _) => {
                let all = Rows::Range {
                    first: 0,
                    count: self.rows(),
                };
                self.row_products(kernel, threads, chosen.map_or(all, Rows::These), x, out);
            }
            (Format::Q8Tiles, None) => self.tile_products(kernel, threads, Bits::Eight, x, out),
            (Format::Q4Tiles, None) => self.tile_products(kernel, threads, Bits::Four, x, out),
            (Format::Q8Tiles | Format::Q4Tiles, Some(chosen)) => {
                // Nobody asks a body's matrix for rows: all are computed.
                let mut all = vec![0.0; n * self.rows()];
                self.products(kernel, threads, None, x, &mut all);
                let tokens = all.chunks_exact(self.rows());
                for (out, all) in out.chunks_exact_mut(count).zip(tokens) {
                    for (out, row) in out.iter_mut().zip(chosen) {
                        *out = all[*row as usize];
                    }
                }
            }
            (Format::F32, _) => {
                float_matrix::products(threads, self.plain::<f32>(), self.cols(), chosen, x, out);
            }
            (Format::Bf16, _) => {
                float_matrix::products(threads, self.plain::<bf16>(), self.cols(), chosen, x, out);
            }
        }
    }

    fn tile_products(
        &self,
        kernel: Kernel,
        threads: &Threads,
        bits: Bits,
        x: &[f32],
        out: &mut [f32],
    ) {
        let x = Activations::new(kernel, threads, x, self.cols(), bits);
        let size = bits.tile_bytes(x.blocks);
        let to = Out(out.as_mut_ptr());
        self.share(threads, self.rows(), 2 * ROWS, x.count, &|first, rows| {
            let job = Job {
                bits,
                tiles: &self.bytes()[first / ROWS * size..],
                ahead: packed::ahead(bits, x.blocks),
                x: &x,
                out: to.at(first),
                stride: self.rows(),
                rows,
            };
            // SAFETY: `x` was made for this kernel and of this matrix's columns. No other call writes these rows' results.
            unsafe { kernel.multiply(&job) };
        });
    }

    fn row_products(
        &self,
        kernel: Kernel,
        threads: &Threads,
        rows: Rows<'_>,
        x: &[f32],
        out: &mut [f32],
    ) {
        let x = Activations::new(kernel, threads, x, self.cols(), Bits::Eight);
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
        let tasks = if rows * self.cols() * n < PARALLEL_FROM {
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
