//! The two products that attention and matrices are made of, a tile of them at a time, so that what was loaded is used
//! several times while it is in registers.
//!
//! How large a tile is makes no difference to the result: each number is added up in one order, which only the lanes
//! decide.

#![allow(clippy::inline_always)]

use super::lanes::{Element, Lanes};

/// The products of each of the `T` rows `a` with each of the `N / T` rows `b`: that of `a[t]` with `b[r]` is at
/// `t · N / T + r`. All rows are equally long.
#[inline(always)]
pub(super) fn dots<const N: usize, const T: usize, L: Lanes<N>, E: Element>(
    lanes: L,
    a: [&[[f32; N]]; T],
    b: &[&[[E; N]]],
) -> [f32; N] {
    let rows = N / T;
    let len = a[0].len();
    let (mut a, mut padded) = (a, [b[0]; N]);
    for row in &mut a {
        *row = &row[..len];
    }
    for (padded, b) in padded.iter_mut().zip(&b[..rows]) {
        *padded = &b[..len];
    }
    let mut sums = [lanes.splat(0.0); N];
    for i in 0..len {
        let mut wide = [lanes.splat(0.0); N];
        for r in 0..rows {
            wide[r] = E::load(lanes, &padded[r][i]);
        }
        for t in 0..T {
            let x = lanes.load(&a[t][i]);
            for r in 0..rows {
                sums[t * rows + r] = lanes.mul_add(x, wide[r], sums[t * rows + r]);
            }
        }
    }
    lanes.sums(sums)
}

/// To each of the `T` rows of `out` the sum of the rows of `values`, each times its weight in `weights`: of all rows
/// the `wide` vectors from `at` on, at most `N / T`. There are as many weights as values.
#[inline(always)]
pub(super) fn weighted_sums<const N: usize, const T: usize, L: Lanes<N>, E: Element>(
    lanes: L,
    weights: [&[f32]; T],
    values: &[&[[E; N]]],
    out: &mut [&mut [[f32; N]]; T],
    at: usize,
    wide: usize,
) {
    let mut weights = weights;
    for row in &mut weights {
        *row = &row[..values.len()];
    }
    let mut sums = [lanes.splat(0.0); N];
    for (k, value) in values.iter().enumerate() {
        let value = &value[at..at + wide];
        let mut row = [lanes.splat(0.0); N];
        for j in 0..wide {
            row[j] = E::load(lanes, &value[j]);
        }
        for t in 0..T {
            let weight = lanes.splat(weights[t][k]);
            for j in 0..wide {
                sums[t * wide + j] = lanes.mul_add(weight, row[j], sums[t * wide + j]);
            }
        }
    }
    for t in 0..T {
        for j in 0..wide {
            lanes.store(sums[t * wide + j], &mut out[t][at + j]);
        }
    }
}
