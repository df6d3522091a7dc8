//! Scores of one query at the positions of a chunk, to weights that do not sum to one yet.

#![allow(clippy::inline_always)]

use std::ops::Range;

use super::AttentionShape;
use crate::kernels::{
    functions::{exp, tanh},
    lanes::Lanes,
};

/// Turns the products of a query with the keys of a chunk into weights, relative to the weight of the largest score.
/// Gives that score and the sum of the weights. What is not `visible` weighs nothing; there has to be something that is.
#[inline(always)]
pub(super) fn weigh<const N: usize, L: Lanes<N>>(
    lanes: L,
    shape: &AttentionShape,
    products: &mut [[f32; N]],
    visible: &Range<usize>,
) -> (f32, f32) {
    let mut peaks = [f32::NEG_INFINITY; N];
    for (i, vector) in products.iter_mut().enumerate() {
        for score in vector.iter_mut() {
            *score *= shape.scale;
        }
        if let Some(cap) = shape.softcap {
            for score in vector.iter_mut() {
                *score = cap * tanh(lanes, *score / cap);
            }
        }
        if i * N < visible.start || (i + 1) * N > visible.end {
            for (lane, score) in vector.iter_mut().enumerate() {
                if !visible.contains(&(i * N + lane)) {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        for (peak, &score) in peaks.iter_mut().zip(vector.iter()) {
            *peak = if score > *peak { score } else { *peak };
        }
    }
    let peak = peaks.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f32; N];
    for vector in products {
        for (sum, score) in sums.iter_mut().zip(vector.iter_mut()) {
            *score = exp(lanes, *score - peak);
            *sum += *score;
        }
    }
    (peak, sums.iter().sum())
}
