//! Arithmetic: the only room that may use vector instructions.
//!
//! The loops are written once, plainly, and compiled for several instruction sets; which one runs is decided at run
//! time, once. Everything above this room sees only [`Matrix`] and the functions re-exported here.
#![allow(
    clippy::indexing_slicing,
    reason = "inner loops over slices whose lengths are asserted at the door"
)]
#![allow(
    clippy::inline_always,
    reason = "what is not inlined into a function with the target's features is compiled without them"
)]

mod attention;
mod buffer;
mod cores;
mod float_matrix;
mod format;
mod functions;
mod lanes;
mod level;
mod matrix;
mod ops;
mod packed;
mod products;
#[cfg(test)]
mod tests;
mod threads;
mod tile;
mod values;

pub use attention::{AttentionJob, AttentionShape, KvPart, attention};
pub use buffer::{Buffer, in_large_pages};
pub use cores::physical_cores;
pub use format::{Format, Layout};
pub use matrix::Matrix;
pub use ops::{
    Columns, Rotations, add_rms_norm, gelu_tanh_times, narrow, norm_and_rotate, rms_norm,
};
pub use packed::Kernel;
pub use threads::Threads;
pub use values::{Values, Weights};

use level::Level;
