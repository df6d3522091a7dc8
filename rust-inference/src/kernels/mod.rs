//! Arithmetic: the only room that may use vector instructions.
//!
//! The loops are written once, plainly, and compiled for several instruction sets; which one runs is decided at run
//! time, once. Everything above this room sees only [`Matrix`] and the functions re-exported here.
#![allow(
    clippy::indexing_slicing,
    reason = "inner loops over slices whose lengths are asserted at the door"
)]

mod dot;
mod matrix;
mod ops;

pub use matrix::{Matrix, Values};
pub use ops::{add_assign, gelu_tanh_times, rms_norm, rope, softmax};

use dot::Level;

/// The sum of the products, by the best instructions of this processor.
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    Level::best().dot(x, y)
}
