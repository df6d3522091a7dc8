//! Sixteen floats in a zmm register: AVX512F.

#![allow(clippy::cast_ptr_alignment, reason = "the loads need no alignment")]

use std::arch::x86_64::{
    __m256i, __m512, _mm256_loadu_si256, _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepu16_epi32,
    _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_shuffle_f32x4,
    _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

use half::{bf16, f16};

use super::{Kernel, Lanes};

/// Made by [`run`] only.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

const N: usize = 16;

impl Lanes<N> for Avx512 {
    type V = __m512;
    const FMA: bool = true;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        // SAFETY: an `Avx512` is made only where the processor has the instructions.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; N]) -> Self::V {
        // SAFETY: as in `splat`; sixteen floats are read from an array of sixteen.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_f16(self, from: &[f16; N]) -> Self::V {
        // SAFETY: as in `splat`; 32 bytes are read from an array of 32 bytes.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast::<__m256i>())) }
    }

    #[inline(always)]
    fn load_bf16(self, from: &[bf16; N]) -> Self::V {
        // SAFETY: as in `splat`; 32 bytes are read from an array of 32 bytes.
        unsafe {
            let halves = _mm256_loadu_si256(from.as_ptr().cast::<__m256i>());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    fn store(self, value: Self::V, to: &mut [f32; N]) {
        // SAFETY: as in `splat`; sixteen floats are written to an array of sixteen.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: as in `splat`.
        unsafe { _mm512_fmadd_ps(a, b, c) }
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

/// A transposition of 16 × 16 that adds as it goes: each step leaves half as many vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed_sum(v: &[__m512; N]) -> __m512 {
    // Lanes of a quarter: i and i + 2 of two vectors, then i and i + 1 of four.
    let mut four = [v[0]; 4];
    for (four, v) in four.iter_mut().zip(v.as_chunks::<4>().0) {
        let a = _mm512_add_ps(
            _mm512_unpacklo_ps(v[0], v[1]),
            _mm512_unpackhi_ps(v[0], v[1]),
        );
        let b = _mm512_add_ps(
            _mm512_unpacklo_ps(v[2], v[3]),
            _mm512_unpackhi_ps(v[2], v[3]),
        );
        *four = _mm512_add_ps(
            _mm512_shuffle_ps::<0b01_00_01_00>(a, b),
            _mm512_shuffle_ps::<0b11_10_11_10>(a, b),
        );
    }
    quarters(quarters(four[0], four[1]), quarters(four[2], four[3]))
}

/// Adds even and odd quarters, those of `a` before those of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b),
    )
}
