//! Int8 and 4-bit weights: how they lie in memory, and the loops that multiply them by activations that were rounded to
//! int8 too. Whatever the kernel, the batch and the threads, the results are the same bits.

mod activations;
mod kernel;
mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_avx2;
#[cfg(target_arch = "x86_64")]
mod lanes_avx512;
mod pack;
mod rows;
mod tile;

pub(super) use activations::Activations;
pub use kernel::Kernel;
pub(super) use pack::{row, row_bytes, rows, tile_value, tiles};
pub(super) use rows::{Rows, RowsJob};
pub(super) use tile::{BLOCK, Bits, Job, ROWS, ahead};
