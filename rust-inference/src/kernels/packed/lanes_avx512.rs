//! The lanes of x86-64 processors that have AVX-512 with VNNI.

#![allow(clippy::wildcard_imports, reason = "half a hundred intrinsics")]

use std::arch::x86_64::*;

use super::{
    activations::scale_and_inverse,
    lanes::Lanes,
    lanes_avx2::two_rows,
    tile::{BLOCK, QUADS, ROWS},
};
use crate::kernels::functions::ROUND;

/// AVX-512 with VNNI: sixteen rows are one register, four products a row one instruction.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Avx512Vnni;

impl Lanes for Avx512Vnni {
    type Ints = __m512i;
    type Floats = __m512;
    type Quads = __m512i;
    type X = __m512i;
    const WIDE: bool = false;
    const TOKENS: usize = 6;

    #[inline(always)]
    unsafe fn ints(value: i32) -> __m512i {
        // SAFETY: the caller's processor has the instructions.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn floats(value: f32) -> __m512 {
        // SAFETY: the caller's processor has the instructions.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn quads(from: *const u8) -> __m512i {
        // SAFETY: the caller's processor has the instructions, and 64 bytes are there.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn half_quads(from: *const u8) -> (__m512i, __m512i) {
        // SAFETY: the caller's processor has the instructions, and 64 bytes are there.
        unsafe {
            let both = _mm512_loadu_si512(from.cast());
            let low = _mm512_set1_epi8(15);
            (
                _mm512_and_si512(both, low),
                _mm512_and_si512(_mm512_srli_epi16::<4>(both), low),
            )
        }
    }

    #[inline(always)]
    unsafe fn x(from: *const u8) -> __m512i {
        // SAFETY: the caller's processor has the instructions, and 4 bytes are there.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
        // SAFETY: the caller's processor has the instructions.
        unsafe { _mm512_dpbusd_epi32(sum, w, x) }
    }

    #[inline(always)]
    unsafe fn scales(from: *const u8) -> __m512 {
        // SAFETY: the caller's processor has the instructions, and 32 bytes are there.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn add_scaled(acc: __m512, sum: __m512i, scale: __m512, x_scale: __m512) -> __m512 {
        // SAFETY: the caller's processor has the instructions.
        unsafe { _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, x_scale), acc) }
    }

    #[inline(always)]
    unsafe fn store(values: __m512, to: *mut f32) {
        // SAFETY: the caller's processor has the instructions, and there is room for 16 floats.
        unsafe { _mm512_storeu_ps(to, values) }
    }

    #[inline(always)]
    unsafe fn round(values: &[f32; BLOCK], quads: &mut [u32]) -> (f32, i32) {
        assert!(quads.len() >= QUADS);
        // SAFETY: the caller's processor has the instructions, and there is room for what is written.
        unsafe {
            let low = _mm512_loadu_ps(values.as_ptr());
            let high = _mm512_loadu_ps(values.as_ptr().wrapping_add(16));
            let sign = _mm512_set1_epi32(0x7fff_ffff);
            let largest = _mm512_reduce_max_epu32(_mm512_max_epu32(
                _mm512_and_si512(_mm512_castps_si512(low), sign),
                _mm512_and_si512(_mm512_castps_si512(high), sign),
            ));
            let Some((scale, inverse)) = scale_and_inverse(largest) else {
                quads.fill(0);
                return (0.0, 0);
            };
            let (inverse, round) = (_mm512_set1_ps(inverse), _mm512_set1_ps(ROUND));
            let low = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(low, inverse), round));
            let high = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(high, inverse), round));
            let bytes = [_mm512_cvtepi32_epi8(low), _mm512_cvtepi32_epi8(high)];
            let to = quads.as_mut_ptr();
            _mm_storeu_si128(to.cast(), bytes[0]);
            _mm_storeu_si128(to.wrapping_add(4).cast(), bytes[1]);
            let both = _mm512_add_epi32(
                _mm512_cvtepi8_epi32(bytes[0]),
                _mm512_cvtepi8_epi32(bytes[1]),
            );
            (scale, _mm512_reduce_add_epi32(both))
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const u8; ROWS], to: *mut u8) {
        // SAFETY: the caller's processor has the instructions, 64 bytes are in each row, and there is room for 1024.
        unsafe {
            // Four rows to a register, sixteen bytes of each, so that what is left to do is within sixteen bytes.
            for part in 0..4 {
                let mut fours = [_mm512_setzero_si512(); 4];
                for (i, four) in fours.iter_mut().enumerate() {
                    let at = 16 * part;
                    let low = two_rows(rows[i], rows[i + 4], at);
                    let high = two_rows(rows[i + 8], rows[i + 12], at);
                    *four = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
                }
                let [a, b, c, d] = fours;
                let (ab, ab2) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
                let (cd, cd2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
                let quads = [
                    _mm512_unpacklo_epi64(ab, cd),
                    _mm512_unpackhi_epi64(ab, cd),
                    _mm512_unpacklo_epi64(ab2, cd2),
                    _mm512_unpackhi_epi64(ab2, cd2),
                ];
                for (i, quad) in quads.into_iter().enumerate() {
                    _mm512_storeu_si512(to.wrapping_add(64 * (4 * part + i)).cast(), quad);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn part(from: *const u8, to: [*mut u8; 2]) {
        // SAFETY: the caller's processor has the instructions, 64 bytes are there, and room for 32 in each place.
        unsafe {
            let both = _mm512_loadu_si512(from.cast());
            let odd = _mm512_srli_epi32::<16>(both);
            _mm256_storeu_si256(to[0].cast(), _mm512_cvtepi32_epi16(both));
            _mm256_storeu_si256(to[1].cast(), _mm512_cvtepi32_epi16(odd));
        }
    }

    #[inline(always)]
    unsafe fn two_blocks(rows: [*const u8; ROWS], x: *const u8, starts: [i32; 2]) -> [__m512i; 2] {
        // Of two registers, the lanes of sixteen bytes with even numbers, and those with odd ones.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        // SAFETY: the caller's processor has the instructions, and 64 bytes are at each place.
        unsafe {
            let x = _mm512_loadu_si512(x.cast());
            // Sums of four rows, side by side: those of a block's first half, of its second, and of the next block's.
            let mut fours = [_mm512_setzero_si512(); 4];
            for i in 0..4 {
                let mut sums = [_mm512_setzero_si512(); 4];
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let w = _mm512_loadu_si512(rows[4 * i + lane].cast());
                    *sum = _mm512_dpbusd_epi32(*sum, w, x);
                }
                let [a, b, c, d] = sums;
                let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
                let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
                fours[i] =
                    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
            }
            let mut eights = [_mm512_setzero_si512(); 2];
            for i in 0..2 {
                let (a, b) = (fours[2 * i], fours[2 * i + 1]);
                eights[i] = _mm512_add_epi32(
                    _mm512_shuffle_i32x4::<EVEN>(a, b),
                    _mm512_shuffle_i32x4::<ODD>(a, b),
                );
            }
            let [a, b] = eights;
            let (first, second) = (_mm512_set1_epi32(starts[0]), _mm512_set1_epi32(starts[1]));
            [
                _mm512_add_epi32(_mm512_shuffle_i32x4::<EVEN>(a, b), first),
                _mm512_add_epi32(_mm512_shuffle_i32x4::<ODD>(a, b), second),
            ]
        }
    }
}
