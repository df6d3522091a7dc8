//! The small operations between the matrix products, on the rows of all tokens of a pass. Each row is computed by
//! itself, in one order. What comes out goes where the last layer's went: memory that is new is slow to come by.

#![allow(clippy::inline_always)]

use half::{f16, slice::HalfFloatSliceExt};

use super::{
    Level, Threads,
    functions::{gelu_tanh, sin_cos},
    lanes::{Kernel, Lanes, mul_add},
};

/// About so many numbers are computed by one task: for fewer it is not worth waking another thread.
const NUMBERS_A_TASK: usize = 1 << 13;

/// Some columns of a matrix of floats: of each row of `width` numbers those from `start` on.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    pub numbers: &'a [f32],
    pub width: usize,
    pub start: usize,
}

/// By how much rotary position embedding turns each pair of numbers at some positions.
#[derive(Debug)]
pub struct Rotations {
    /// For each position the sines of all pairs, then the cosines.
    turns: Vec<f32>,
    pairs: usize,
}

/// `x · (1 + weight) / rms(x)`, Gemma's form of `RMSNorm`, on each row of `weight.len()` numbers.
pub fn rms_norm(threads: &Threads, x: &[f32], weight: &[f32], eps: f32, out: &mut Vec<f32>) {
    out.resize(x.len(), 0.0);
    let width = weight.len();
    by_rows(threads, out, width, &|first, out| {
        let x = &x[first * width..][..out.len()];
        Level::best().run(Norm {
            x,
            weight,
            eps,
            out,
        });
    });
}

/// Adds to each row of `x` what `rms_norm` makes of the same row of `y`.
pub fn add_rms_norm(threads: &Threads, x: &mut [f32], y: &[f32], weight: &[f32], eps: f32) {
    let width = weight.len();
    by_rows(threads, x, width, &|first, out| {
        let y = &y[first * width..][..out.len()];
        Level::best().run(AddNorm {
            norm: Norm {
                x: y,
                weight,
                eps,
                out,
            },
        });
    });
}

/// `gelu(gate) · up` with the tanh approximation (`gelu_pytorch_tanh`): each row of `gate_up` has `width` of the one and
/// then as many of the other.
pub fn gelu_tanh_times(threads: &Threads, gate_up: &[f32], width: usize, out: &mut Vec<f32>) {
    out.resize(gate_up.len() / 2, 0.0);
    by_rows(threads, out, width, &|first, out| {
        let gate_up = &gate_up[2 * first * width..][..2 * out.len()];
        Level::best().run(Gelu {
            gate_up,
            width,
            out,
        });
    });
}

/// The heads in the first `len` columns, each normalised as by `rms_norm` and turned as its row's position says: each
/// half-split pair by the angle of its frequency (rotary position embedding).
pub fn norm_and_rotate(
    threads: &Threads,
    heads: Columns<'_>,
    len: usize,
    weight: &[f32],
    eps: f32,
    rotations: &Rotations,
    out: &mut Vec<f32>,
) {
    out.resize(heads.numbers.len() / heads.width * len, 0.0);
    by_rows(threads, out, len, &|first, out| {
        let turns = rotations.turns.chunks_exact(2 * rotations.pairs);
        let rows = heads.numbers.chunks_exact(heads.width).zip(turns);
        for ((row, turns), out) in rows.skip(first).zip(out.chunks_exact_mut(len)) {
            let x = &row[heads.start..heads.start + len];
            Level::best().run(NormAndRotate {
                norm: Norm {
                    x,
                    weight,
                    eps,
                    out,
                },
                turns,
            });
        }
    });
}

impl Rotations {
    pub fn new(threads: &Threads, positions: &[usize], inverse_frequencies: &[f32]) -> Self {
        let pairs = inverse_frequencies.len();
        let mut turns = vec![0.0; positions.len() * 2 * pairs];
        by_rows(threads, &mut turns, 2 * pairs, &|first, out| {
            Level::best().run(Turns {
                positions: &positions[first..],
                inverse_frequencies,
                out,
            });
        });
        Self { turns, pairs }
    }
}

/// Writes `numbers` to `out` in f16. What is beyond its range becomes its greatest number: an infinite value would spoil
/// even the queries that give it no weight.
pub fn narrow(numbers: &[f32], out: &mut [f16]) {
    out.convert_from_f32_slice(numbers);
    for number in out {
        if number.is_infinite() {
            *number = f16::MAX.copysign(*number);
        }
    }
}

/// Calls `task` with some whole rows of `out` and the number of the first.
fn by_rows(
    threads: &Threads,
    out: &mut [f32],
    width: usize,
    task: &(dyn Fn(usize, &mut [f32]) + Sync),
) {
    let rows = (NUMBERS_A_TASK / width).max(1);
    if out.len() <= rows * width {
        return task(0, out);
    }
    threads.chunks(out, rows * width, &|i, out| task(i * rows, out));
}

struct Norm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Norm<'_> {
    /// What a row is multiplied with to have a root mean square of one.
    #[inline(always)]
    fn scale<const N: usize, L: Lanes<N>>(&self, lanes: L, row: &[f32]) -> f32 {
        let (vectors, rest) = row.as_chunks::<N>();
        let mut sums = [0.0; N];
        for vector in vectors {
            for (sum, x) in sums.iter_mut().zip(vector) {
                *sum = mul_add(lanes, *x, *x, *sum);
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for x in rest {
            sum = mul_add(lanes, *x, *x, sum);
        }
        1.0 / (sum / row.len() as f32 + self.eps).sqrt()
    }
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let rows = self.x.chunks_exact(self.weight.len());
        let mut places = (0..self.out.len()).step_by(self.weight.len());
        for (row, place) in rows.zip(&mut places) {
            let scale = self.scale(lanes, row);
            let out = &mut self.out[place..place + row.len()];
            for ((out, x), weight) in out.iter_mut().zip(row).zip(self.weight) {
                *out = x * scale * (1.0 + weight);
            }
        }
    }
}

struct AddNorm<'a> {
    norm: Norm<'a>,
}

impl Kernel for AddNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let norm = self.norm;
        let width = norm.weight.len();
        for (i, row) in norm.x.chunks_exact(width).enumerate() {
            let scale = norm.scale(lanes, row);
            let out = &mut norm.out[i * width..(i + 1) * width];
            for ((out, y), weight) in out.iter_mut().zip(row).zip(norm.weight) {
                *out += y * scale * (1.0 + weight);
            }
        }
    }
}

struct NormAndRotate<'a> {
    norm: Norm<'a>,
    turns: &'a [f32],
}

impl Kernel for NormAndRotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let Self { norm, turns } = self;
        let (dim, pairs) = (norm.weight.len(), turns.len() / 2);
        let (sin, cos) = turns.split_at(pairs);
        for (i, row) in norm.x.chunks_exact(dim).enumerate() {
            let scale = norm.scale(lanes, row);
            let out = &mut norm.out[i * dim..(i + 1) * dim];
            for ((out, x), weight) in out.iter_mut().zip(row).zip(norm.weight) {
                *out = x * scale * (1.0 + weight);
            }
            let (low, high) = out.split_at_mut(pairs);
            for (((low, high), sin), cos) in low.iter_mut().zip(high).zip(sin).zip(cos) {
                (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
            }
        }
    }
}

struct Gelu<'a> {
    gate_up: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) {
        let rows = self.gate_up.chunks_exact(2 * self.width);
        for (row, out) in rows.zip(self.out.chunks_exact_mut(self.width)) {
            let (gate, up) = row.split_at(self.width);
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = gelu_tanh(lanes, *gate) * up;
            }
        }
    }
}

struct Turns<'a> {
    positions: &'a [usize],
    inverse_frequencies: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Turns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const N: usize, L: Lanes<N>>(self, _: L) {
        let pairs = self.inverse_frequencies.len();
        let rows = self.out.chunks_exact_mut(2 * pairs).zip(self.positions);
        for (row, position) in rows {
            let position = *position as f32;
            let (sin, cos) = row.split_at_mut(pairs);
            let turns = sin.iter_mut().zip(cos).zip(self.inverse_frequencies);
            for ((sin, cos), frequency) in turns {
                (*sin, *cos) = sin_cos(position * frequency);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operation writes.
    fn out(of: impl FnOnce(&mut Vec<f32>)) -> Vec<f32> {
        let mut out = vec![7.0; 3];
        of(&mut out);
        out
    }

    fn numbers(len: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37) % 1013) as f32 / 500.0 - 1.0)
            .collect()
    }

    /// Rows that many threads share, one by one and all together.
    fn alone_as_together(width: usize, of: impl Fn(&Threads, &[f32]) -> Vec<f32>) {
        let threads = Threads::new(3).unwrap();
        let x = numbers(70 * width);
        let all = of(&threads, &x);
        let one_by_one = x.chunks_exact(width).flat_map(|row| of(&threads, row));
        assert!(
            all.iter()
                .map(|v| v.to_bits())
                .eq(one_by_one.map(f32::to_bits))
        );
        assert!(!all.is_empty());
    }

    #[test]
    fn a_row_gives_the_same_bits_alone_and_among_others() {
        let weight = numbers(646);
        alone_as_together(646, |threads, x| {
            out(|out| rms_norm(threads, x, &weight, 1e-6, out))
        });
        alone_as_together(646, |threads, x| {
            out(|out| gelu_tanh_times(threads, x, 323, out))
        });
        alone_as_together(646, |threads, x| {
            let mut sum = x.to_vec();
            add_rms_norm(threads, &mut sum, x, &weight, 1e-6);
            sum
        });
    }

    #[test]
    fn a_normalised_row_has_the_weights_length() {
        let threads = Threads::new(1).unwrap();
        let x = [3.0, 4.0, 0.0, 0.0];
        let out = out(|out| rms_norm(&threads, &x, &[0.0, 0.0, 0.0, 1.0], 0.0, out));
        assert!((out.iter().map(|x| x * x).sum::<f32>() - 4.0).abs() < 1e-5);
        let mut sum = [1.0, 1.0, 1.0, 1.0];
        add_rms_norm(&threads, &mut sum, &[3.0, 4.0, 0.0, 0.0], &[0.0; 4], 0.0);
        assert!(
            sum.iter()
                .zip(&out)
                .all(|(sum, out)| sum.to_bits() == (1.0 + out).to_bits())
        );
    }

    #[test]
    fn what_f16_cannot_hold_becomes_its_greatest_number() {
        let mut out = [f16::ZERO; 6];
        let numbers = [1.5, 7e4, -1e30, 65_504.0, f32::NEG_INFINITY, f32::NAN];
        narrow(&numbers, &mut out);
        let greatest = f16::MAX;
        let expected = [f16::from_f32(1.5), greatest, -greatest, greatest, -greatest];
        assert_eq!(out[..5], expected);
        assert!(out[5].is_nan());
    }

    #[test]
    fn gelu_of_the_gate_is_multiplied_with_the_other_half() {
        let threads = Threads::new(1).unwrap();
        let x = [1.0, -2.0, 10.0, 100.0, 0.0, 9.0, 5.0, 5.0];
        let out = out(|out| gelu_tanh_times(&threads, &x, 2, out));
        for (found, expected) in out.iter().zip([8.411_92, -4.540_23, 0.0, 45.0]) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }

    #[test]
    fn rotation_turns_each_pair_by_its_angle() {
        let threads = Threads::new(2).unwrap();
        let frequencies = [1.0, 0.1];
        let rotations = Rotations::new(&threads, &[0, 17], &frequencies);
        // Two tokens with a column before the heads and two heads each.
        let row = [9.0, 1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0];
        let x = [row, row].concat();
        let columns = Columns {
            numbers: &x,
            width: 9,
            start: 1,
        };
        let turned =
            out(|out| norm_and_rotate(&threads, columns, 8, &[0.0; 4], 0.0, &rotations, out));
        let still = out(|out| rms_norm(&threads, &row[1..], &[0.0; 4], 0.0, out));
        assert_eq!(turned[..8], still);
        for (turned, still) in turned[8..].chunks_exact(4).zip(still.chunks_exact(4)) {
            for (pair, frequency) in frequencies.iter().enumerate() {
                let (sin, cos) = (17.0 * frequency).sin_cos();
                let (low, high) = (still[pair], still[pair + 2]);
                assert!((turned[pair] - (low * cos - high * sin)).abs() < 1e-6);
                assert!((turned[pair + 2] - (high * cos + low * sin)).abs() < 1e-6);
            }
        }
    }
}
