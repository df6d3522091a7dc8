//! The numbers of a matrix as a checkpoint stores them, before they are packed.

use half::{bf16, f16};

use super::{functions::ROUND, packed::BLOCK};

/// A matrix's numbers, row by row.
#[derive(Clone, Debug)]
pub enum Values {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    /// Blocks of 32 as GGUF stores them, 34 bytes each: an f16 scale, then 32 signed bytes.
    Q8_0(Vec<u8>),
    /// Blocks of 32 as GGUF stores them, 18 bytes each: an f16 scale, then 16 bytes that hold the block's first half in their
    /// low and its second half in their high bits, 8 more than they stand for.
    Q4_0(Vec<u8>),
}

/// What the weights are kept as in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weights {
    F32,
    Bf16,
    /// Eight bits a weight and a scale for every 32.
    #[default]
    Q8,
    /// Four bits a weight and a scale for every 32; the head and the embedding as with `Q8`.
    Q4,
}

/// Bytes of a block of `Q8_0`.
const Q8_0_BYTES: usize = 2 + BLOCK;
/// Bytes of a block of `Q4_0`.
const Q4_0_BYTES: usize = 2 + BLOCK / 2;

impl Values {
    /// How many numbers; bytes that are no whole block are not counted.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Q8_0(bytes) => bytes.len() / Q8_0_BYTES * BLOCK,
            Self::Q4_0(bytes) => bytes.len() / Q4_0_BYTES * BLOCK,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These numbers, and behind them the others: as they are if they are stored alike, else in f32.
    #[must_use]
    pub fn followed_by(self, others: Self) -> Self {
        match (self, others) {
            (Self::Bf16(mut all), Self::Bf16(others)) => {
                all.extend(others);
                Self::Bf16(all)
            }
            (Self::F16(mut all), Self::F16(others)) => {
                all.extend(others);
                Self::F16(all)
            }
            (Self::Q8_0(mut all), Self::Q8_0(others)) => {
                all.extend(others);
                Self::Q8_0(all)
            }
            (Self::Q4_0(mut all), Self::Q4_0(others)) => {
                all.extend(others);
                Self::Q4_0(all)
            }
            (all, others) => {
                let mut all = all.into_f32();
                all.extend(others.into_f32());
                Self::F32(all)
            }
        }
    }

    /// All of them, widened.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            other => (0..other.len()).map(|at| other.get(at)).collect(),
        }
    }

    /// The first number that is infinite or none, with its place.
    pub fn first_not_finite(&self) -> Option<(usize, f32)> {
        // Of a block only the scale can be so.
        let step = match self {
            Self::F32(_) | Self::Bf16(_) | Self::F16(_) => 1,
            Self::Q8_0(_) | Self::Q4_0(_) => BLOCK,
        };
        let mut numbers = (0..self.len()).step_by(step).map(|at| (at, self.get(at)));
        numbers.find(|(_, number)| !number.is_finite())
    }

    /// One number, widened.
    pub(super) fn get(&self, at: usize) -> f32 {
        let (block, within) = (at / BLOCK, at % BLOCK);
        match self {
            Self::F32(values) => values[at],
            Self::Bf16(values) => values[at].to_f32(),
            Self::F16(values) => values[at].to_f32(),
            Self::Q8_0(bytes) => {
                let (scale, q) = scale_and_rest(bytes, block, Q8_0_BYTES);
                f32::from(q[within] as i8) * scale.to_f32()
            }
            Self::Q4_0(bytes) => {
                let (scale, q) = scale_and_rest(bytes, block, Q4_0_BYTES);
                (f32::from(nibble(q, within)) - 8.0) * scale.to_f32()
            }
        }
    }

    /// The `len` numbers behind `at`, with zeros behind them, as a scale and eight bits each: as they were stored if they
    /// were stored so, else rounded to the nearest.
    pub(super) fn q8(&self, at: usize, len: usize) -> (f16, [i8; BLOCK]) {
        let whole = len == BLOCK && at.is_multiple_of(BLOCK);
        match self {
            Self::Q8_0(bytes) if whole => {
                let (scale, q) = scale_and_rest(bytes, at / BLOCK, Q8_0_BYTES);
                (scale, std::array::from_fn(|i| q[i] as i8))
            }
            Self::Q4_0(bytes) if whole => {
                let (scale, q) = scale_and_rest(bytes, at / BLOCK, Q4_0_BYTES);
                (scale, std::array::from_fn(|i| nibble(q, i) as i8 - 8))
            }
            _ => {
                let values = self.block(at, len);
                let scale = scale(largest(&values).abs() / 127.0);
                let q =
                    values.map(|value| nearest(divide(value, scale).clamp(-127.0, 127.0)) as i8);
                (scale, q)
            }
        }
    }

    /// The same with four bits each, which stand for themselves less 8.
    pub(super) fn q4(&self, at: usize, len: usize) -> (f16, [u8; BLOCK]) {
        if let Self::Q4_0(bytes) = self
            && len == BLOCK
            && at.is_multiple_of(BLOCK)
        {
            let (scale, q) = scale_and_rest(bytes, at / BLOCK, Q4_0_BYTES);
            return (scale, std::array::from_fn(|i| nibble(q, i)));
        }
        let values = self.block(at, len);
        // There is one more step below zero than above: the largest value's sign is made to be that side.
        let scale = scale(largest(&values) / -8.0);
        let q = values.map(|value| (nearest(divide(value, scale).clamp(-8.0, 7.0)) + 8.0) as u8);
        (scale, q)
    }

    fn block(&self, at: usize, len: usize) -> [f32; BLOCK] {
        let mut block = [0.0; BLOCK];
        let places = block.iter_mut().take(len);
        // Asking for each number what they are would cost more than the rest.
        match self {
            Self::F32(all) => (places.zip(all.iter().skip(at))).for_each(|(to, x)| *to = *x),
            Self::Bf16(all) => {
                (places.zip(all.iter().skip(at))).for_each(|(to, x)| *to = x.to_f32());
            }
            _ => (places.zip(at..at + len)).for_each(|(to, at)| *to = self.get(at)),
        }
        block
    }
}

fn scale_and_rest(bytes: &[u8], block: usize, size: usize) -> (f16, &[u8]) {
    let block = &bytes[block * size..][..size];
    (f16::from_le_bytes([block[0], block[1]]), &block[2..])
}

fn nibble(bytes: &[u8], at: usize) -> u8 {
    const HALF: usize = BLOCK / 2;
    if at < HALF {
        bytes[at] & 15
    } else {
        bytes[at - HALF] >> 4
    }
}

/// The number with the largest absolute value.
fn largest(values: &[f32; BLOCK]) -> f32 {
    let larger = |a: f32, b: f32| if b.abs() > a.abs() { b } else { a };
    values.iter().copied().fold(0.0, larger)
}

/// The nearest scale that f16 has. Weights in the millions, which no model has, are cut off.
fn scale(value: f32) -> f16 {
    f16::from_f32(value.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// How many steps of the scale, as it was rounded, the value is.
fn divide(value: f32, scale: f16) -> f32 {
    let scale = scale.to_f32();
    if scale == 0.0 { 0.0 } else { value / scale }
}

/// The nearest integer of a small number, of two the even one. Without the instruction of newer processors
/// `round_ties_even` is a call for each number.
fn nearest(value: f32) -> f32 {
    (value + ROUND) - ROUND
}
