//! Eight floats in whatever registers the compiler may assume of every processor of the target.

use half::{bf16, f16};

use super::Lanes;

#[derive(Clone, Copy)]
pub(super) struct Portable;

const N: usize = 8;

impl Lanes<N> for Portable {
    type V = [f32; N];
    const FMA: bool = false;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; N]
    }

    #[inline(always)]
    fn load(self, from: &[f32; N]) -> Self::V {
        *from
    }

    #[inline(always)]
    fn load_f16(self, from: &[f16; N]) -> Self::V {
        from.map(f16::to_f32)
    }

    #[inline(always)]
    fn load_bf16(self, from: &[bf16; N]) -> Self::V {
        from.map(|value| f32::from_bits(u32::from(value.to_bits()) << 16))
    }

    #[inline(always)]
    fn store(self, value: Self::V, to: &mut [f32; N]) {
        *to = value;
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn sums(self, vectors: [Self::V; N]) -> [f32; N] {
        vectors.map(|v| ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])))
    }
}
