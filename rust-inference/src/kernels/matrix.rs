//! Weight matrices, one row an output.

use half::bf16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{
    Buffer, Format, Kernel, Layout, Threads, Values, Weights,
    packed::{self, Bits},
};

/// A weight matrix of `rows` outputs by `cols` inputs.
#[derive(Clone, Debug)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    format: Format,
    buffer: Buffer,
}

impl Matrix {
    /// Packed for `layout` and kept as `weights`. `None` if the number of values is not rows × cols, or is none.
    pub fn pack(
        threads: &Threads,
        rows: usize,
        cols: usize,
        values: &Values,
        weights: Weights,
        layout: Layout,
    ) -> Option<Self> {
        if values.is_empty() || values.len() != rows.checked_mul(cols)? {
            return None;
        }
        let format = Format::of(weights, layout);
        let buffer = match format {
            Format::F32 => plain(threads, rows * cols, |at| values.get(at)),
            Format::Bf16 => plain(threads, rows * cols, |at| bf16::from_f32(values.get(at))),
            Format::Q8Tiles => packed::tiles(threads, rows, cols, values, Bits::Eight),
            Format::Q4Tiles => packed::tiles(threads, rows, cols, values, Bits::Four),
            Format::Q8Rows => packed::rows(threads, rows, cols, values),
        };
        Self::from_buffer(rows, cols, format, buffer)
    }

    /// A matrix out of the [`Matrix::bytes`] that one of the same shape and format had. `None` if they are not as many
    /// as it has to have.
    pub fn from_buffer(rows: usize, cols: usize, format: Format, buffer: Buffer) -> Option<Self> {
        let len = format.bytes(rows, cols)?;
        (len != 0 && buffer.bytes().len() == len).then_some(Self {
            rows,
            cols,
            format,
            buffer,
        })
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// As they are in memory: what a cache on disk writes.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// Row `row` widened to f32.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let range = row * self.cols..(row + 1) * self.cols;
        let tile_row = |bits| {
            let value = |col| packed::tile_value(self.bytes(), self.cols, row, col, bits);
            (0..self.cols).map(value).collect()
        };
        match self.format {
            Format::F32 => self.plain::<f32>()[range].to_vec(),
            Format::Bf16 => self.plain::<bf16>()[range]
                .iter()
                .map(|x| x.to_f32())
                .collect(),
            Format::Q8Tiles => tile_row(Bits::Eight),
            Format::Q4Tiles => tile_row(Bits::Four),
            Format::Q8Rows => packed::row(self.bytes(), self.cols, row),
        }
    }

    /// `x · selfᵀ`: `x` is n × cols, and `out` becomes n × rows.
    ///
    /// # Panics
    /// When `x` is not whole rows: a mistake of ours, never of a checkpoint, whose shapes were checked at loading.
    pub fn apply(&self, threads: &Threads, x: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len() / self.cols * self.rows, 0.0);
        self.apply_to(threads, x, out);
    }

    /// The same where `out` has n × rows places already.
    ///
    /// # Panics
    /// As `apply`, and when `out` has not so many.
    pub fn apply_to(&self, threads: &Threads, x: &[f32], out: &mut [f32]) {
        self.products(Kernel::chosen(), threads, None, x, out);
    }

    /// The entries of [`Matrix::apply`] that belong to `rows`, and no others computed: n × `rows.len()`.
    ///
    /// # Panics
    /// As `apply`, and when a row is not below the number of rows.
    pub fn apply_rows(&self, threads: &Threads, rows: &[u32], x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.cols * rows.len()];
        self.products(Kernel::chosen(), threads, Some(rows), x, &mut out);
        out
    }

    /// All numbers of a matrix that is kept as `T`.
    pub(super) fn plain<T: FromBytes + Immutable + KnownLayout>(&self) -> &[T] {
        // The length was checked when the matrix was made, and a buffer begins on a cache line.
        <[T]>::ref_from_bytes(self.bytes()).unwrap_or_default()
    }
}

/// Numbers as they are.
fn plain<T>(threads: &Threads, len: usize, value: impl Fn(usize) -> T + Sync) -> Buffer
where
    T: FromBytes + IntoBytes + KnownLayout + Send,
{
    const AT_ONCE: usize = 1 << 14;
    Buffer::build(len * size_of::<T>(), |bytes| {
        let numbers = <[T]>::mut_from_bytes(bytes).unwrap_or_default();
        threads.chunks(numbers, AT_ONCE, &|task, numbers| {
            for (i, number) in numbers.iter_mut().enumerate() {
                *number = value(task * AT_ONCE + i);
            }
        });
    })
}
