//! One tensor of a checkpoint as its file stores it, whatever the file's format is.

use half::{bf16, f16};

use crate::kernels::Values;

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    /// Blocks of 32: an f16 scale, then 32 signed bytes.
    Q8_0,
    /// Blocks of 32: an f16 scale, then 16 bytes: the first 16 values in their lower halves, the others in the upper.
    Q4_0,
}

/// A tensor's place in its file.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub shape: Vec<usize>,
    pub kind: Kind,
    /// Little-endian and not aligned; as many as `kind` and `shape` need.
    pub bytes: &'a [u8],
    /// What the file's writer has added to each number.
    pub minus: f32,
}

/// Values in a block of `Q8_0` and `Q4_0`.
const BLOCK: usize = 32;

impl Kind {
    /// Bytes of a tensor of this shape. `None` if there are none such, or too many to count.
    pub(super) fn size(self, shape: &[usize]) -> Option<usize> {
        let count = (shape.iter()).try_fold(1usize, |all, size| all.checked_mul(*size))?;
        let bytes = match self {
            Self::F32 => return count.checked_mul(4),
            Self::F16 | Self::Bf16 => return count.checked_mul(2),
            Self::Q8_0 => 2 + BLOCK,
            Self::Q4_0 => 2 + BLOCK / 2,
        };
        let whole = shape.last().is_some_and(|last| last.is_multiple_of(BLOCK));
        whole.then(|| (count / BLOCK).checked_mul(bytes))?
    }
}

impl Tensor<'_> {
    /// Its numbers, as they are stored.
    pub(super) fn values(&self) -> Values {
        let (pairs, _) = self.bytes.as_chunks::<2>();
        let (quads, _) = self.bytes.as_chunks::<4>();
        let values = match self.kind {
            Kind::F32 => Values::F32(quads.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Kind::F16 => Values::F16(pairs.iter().map(|b| f16::from_le_bytes(*b)).collect()),
            Kind::Bf16 => Values::Bf16(pairs.iter().map(|b| bf16::from_le_bytes(*b)).collect()),
            Kind::Q8_0 => Values::Q8_0(self.bytes.to_vec()),
            Kind::Q4_0 => Values::Q4_0(self.bytes.to_vec()),
        };
        if self.minus == 0.0 {
            return values;
        }
        let mut values = values.into_f32();
        for value in &mut values {
            *value -= self.minus;
        }
        Values::F32(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(kind: Kind, shape: [usize; 1], bytes: &[u8]) -> Vec<f32> {
        let tensor = Tensor {
            shape: shape.into(),
            kind,
            bytes,
            minus: 0.0,
        };
        assert_eq!(kind.size(&tensor.shape), Some(bytes.len()));
        tensor.values().into_f32()
    }

    #[test]
    fn blocks_are_read_as_llama_cpp_writes_them() {
        let half = f16::from_f32(0.5).to_le_bytes();
        let q8: Vec<u8> = half
            .into_iter()
            .chain((0..32).map(|i| (i as i8 - 16) as u8))
            .collect();
        let expected: Vec<f32> = (0..32).map(|i| (i as f32 - 16.0) / 2.0).collect();
        assert_eq!(values(Kind::Q8_0, [32], &q8), expected);
        // Byte i holds value i below and value i + 16 above.
        let q4: Vec<u8> = half
            .into_iter()
            .chain((0..16).map(|i| i | (15 - i) << 4))
            .collect();
        let lower = (0..16).map(|i| (i as f32 - 8.0) / 2.0);
        let upper = (0..16).map(|i| (7.0 - i as f32) / 2.0);
        assert_eq!(
            values(Kind::Q4_0, [32], &q4),
            lower.chain(upper).collect::<Vec<_>>()
        );
    }

    #[test]
    fn shapes_that_are_no_whole_blocks_or_too_large_have_no_size() {
        assert_eq!(Kind::Q8_0.size(&[2, 48]), None);
        assert_eq!(Kind::Q4_0.size(&[3, 64]), Some(6 * 18));
        assert_eq!(Kind::F32.size(&[usize::MAX, 2]), None);
        assert_eq!(Kind::Bf16.size(&[1 << 63]), None);
    }
}
