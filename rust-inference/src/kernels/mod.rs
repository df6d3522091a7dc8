//! Arithmetic: the only room that may use vector instructions.
//!
//! The loops are written once, plainly, and compiled for several instruction sets; which one runs is decided at run
//! time, once. Everything above this room sees only [`Matrix`] and the functions re-exported here.
#![allow(
    clippy::indexing_slicing,
    reason = "inner loops over slices whose lengths are asserted at the door"
)]

mod attention;
mod buffer;
mod cores;
mod dot;
mod functions;
mod lanes;
mod matrix;
mod ops;
mod threads;
mod tile;

pub use attention::{AttentionJob, AttentionShape, KvPart, attention};
pub use buffer::Buffer;
pub use cores::physical_cores;
pub use matrix::{Matrix, Values, Weights};
pub use ops::{Columns, Rotations, add_rms_norm, gelu_tanh_times, norm_and_rotate, rms_norm};
pub use threads::Threads;

use dot::Level;
