//! Eight floats in a ymm register: AVX2, FMA and F16C.

#![allow(clippy::cast_ptr_alignment, reason = "the loads need no alignment")]

use std::arch::x86_64::{
    __m128i, __m256, _mm_loadu_si128, _mm256_add_ps, _mm256_castsi256_ps, _mm256_cvtepu16_epi32,
    _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps,
    _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps,
};

use half::{bf16, f16};

use super::{Kernel, Lanes};

/// Made by [`run`] only.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

const N: usize = 8;

impl Lanes<N> for Avx2 {
    type V = __m256;
    const FMA: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        // SAFETY: an `Avx2` is made only where the processor has the instructions.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; N]) -> Self::V {
        // SAFETY: as in `splat`; eight floats are read from an array of eight.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_f16(self, from: &[f16; N]) -> Self::V {
        // SAFETY: as in `splat`; 16 bytes are read from an array of 16 bytes.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast::<__m128i>())) }
    }

    #[inline(always)]
    fn load_bf16(self, from: &[bf16; N]) -> Self::V {
        // SAFETY: as in `splat`; 16 bytes are read from an array of 16 bytes.
        unsafe {
            let halves = _mm_loadu_si128(from.as_ptr().cast::<__m128i>());
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    fn store(self, value: Self::V, to: &mut [f32; N]) {
        // SAFETY: as in `splat`; eight floats are written to an array of eight.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: as in `splat`.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sums(self, v: [Self::V; N]) -> [f32; N] {
        let mut sums = [0.0; N];
        // SAFETY: as in `splat`.
        let sum = unsafe { transposed_sum(&v) };
        self.store(sum, &mut sums);
        sums
    }
}

/// In each half of a register the sums of neighbours, then of pairs of neighbours; then the halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed_sum(v: &[__m256; N]) -> __m256 {
    let low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    let high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
    _mm256_add_ps(
        _mm256_permute2f128_ps::<0x20>(low, high),
        _mm256_permute2f128_ps::<0x31>(low, high),
    )
}
