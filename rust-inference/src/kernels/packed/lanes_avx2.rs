//! The lanes of x86-64 processors without AVX-512: with AVX-VNNI, and with AVX2 alone.

#![allow(clippy::wildcard_imports, reason = "half a hundred intrinsics")]

use std::{arch::x86_64::*, marker::PhantomData};

use super::{
    lanes::Lanes,
    tile::{BLOCK, ROWS},
};

/// Two registers of eight rows each, whose products `D` makes.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Halves<D>(PhantomData<D>);

/// What tells processors with AVX2 apart: how they multiply bytes.
pub(in crate::kernels) trait Products: Copy {
    /// See [`Lanes::WIDE`].
    const WIDE: bool;
    type Quads: Copy;
    type X: Copy;
    unsafe fn quads(halves: [__m256i; 2]) -> Self::Quads;
    unsafe fn x(from: *const i32) -> Self::X;
    unsafe fn dot(sum: [__m256i; 2], w: Self::Quads, x: Self::X) -> [__m256i; 2];
    /// A block of activations.
    type Block: Copy;
    /// Reads a block of activations.
    unsafe fn block(x: *const u8) -> Self::Block;
    /// The products of a row's block, in eight sums.
    unsafe fn eight_sums(w: __m256i, x: Self::Block) -> __m256i;
}

/// AVX2 alone. Its product of bytes saturates at 16 bits, which sums of two products of such bytes exceed, so bytes
/// are widened: weights in registers, once for all tokens; activations before.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Widened;

pub(in crate::kernels) type Avx2 = Halves<Widened>;

impl Products for Widened {
    const WIDE: bool = true;
    /// Of each half the weights of even columns, and those of odd ones.
    type Quads = [[__m256i; 2]; 2];
    type X = [__m256i; 2];

    #[inline(always)]
    unsafe fn quads(halves: [__m256i; 2]) -> Self::Quads {
        // SAFETY: the caller's processor has the instructions.
        unsafe {
            let even = _mm256_set1_epi16(255);
            let [a, b] = halves;
            [
                [_mm256_and_si256(a, even), _mm256_srli_epi16::<8>(a)],
                [_mm256_and_si256(b, even), _mm256_srli_epi16::<8>(b)],
            ]
        }
    }

    #[inline(always)]
    unsafe fn x(from: *const i32) -> Self::X {
        // SAFETY: the caller's processor has the instructions, and 8 bytes are there.
        unsafe {
            [
                _mm256_set1_epi32(from.read_unaligned()),
                _mm256_set1_epi32(from.wrapping_add(1).read_unaligned()),
            ]
        }
    }

    #[inline(always)]
    unsafe fn dot(sum: [__m256i; 2], w: Self::Quads, x: Self::X) -> [__m256i; 2] {
        let mut out = sum;
        for half in 0..2 {
            // SAFETY: the caller's processor has the instructions.
            unsafe {
                let even = _mm256_madd_epi16(w[half][0], x[0]);
                let odd = _mm256_madd_epi16(w[half][1], x[1]);
                out[half] = _mm256_add_epi32(_mm256_add_epi32(sum[half], even), odd);
            }
        }
        out
    }

    /// Those of even columns, and those of odd ones.
    type Block = [__m256i; 2];

    #[inline(always)]
    unsafe fn block(x: *const u8) -> [__m256i; 2] {
        // SAFETY: the caller's processor has the instructions, and 64 bytes are there.
        unsafe {
            let [a, b] = halves(x);
            let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            [
                _mm256_castpd_si256(_mm256_permute4x64_pd::<0b11_01_10_00>(even)),
                _mm256_castpd_si256(_mm256_permute4x64_pd::<0b11_01_10_00>(odd)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn eight_sums(w: __m256i, x: [__m256i; 2]) -> __m256i {
        // SAFETY: the caller's processor has the instructions.
        unsafe {
            let even = _mm256_and_si256(w, _mm256_set1_epi16(255));
            let odd = _mm256_srli_epi16::<8>(w);
            _mm256_add_epi32(_mm256_madd_epi16(even, x[0]), _mm256_madd_epi16(odd, x[1]))
        }
    }
}

/// AVX-VNNI: processors that have the product of four bytes, but no AVX-512.
#[derive(Clone, Copy, Debug)]
pub(in crate::kernels) struct Vnni;

pub(in crate::kernels) type AvxVnni = Halves<Vnni>;

impl Products for Vnni {
    const WIDE: bool = false;
    type Quads = [__m256i; 2];
    type X = __m256i;

    #[inline(always)]
    unsafe fn quads(halves: [__m256i; 2]) -> [__m256i; 2] {
        halves
    }

    #[inline(always)]
    unsafe fn x(from: *const i32) -> __m256i {
        // SAFETY: the caller's processor has the instructions, and 4 bytes are there.
        unsafe { _mm256_set1_epi32(from.read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: [__m256i; 2], w: [__m256i; 2], x: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller's processor has the instructions.
        unsafe {
            [
                _mm256_dpbusd_avx_epi32(sum[0], w[0], x),
                _mm256_dpbusd_avx_epi32(sum[1], w[1], x),
            ]
        }
    }

    type Block = __m256i;

    #[inline(always)]
    unsafe fn block(x: *const u8) -> __m256i {
        // SAFETY: the caller's processor has the instructions, and 32 bytes are there.
        unsafe { _mm256_loadu_si256(x.cast()) }
    }

    #[inline(always)]
    unsafe fn eight_sums(w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the caller's processor has the instructions.
        unsafe { _mm256_dpbusd_avx_epi32(_mm256_setzero_si256(), w, x) }
    }
}

impl<D: Products> Lanes for Halves<D> {
    type Ints = [__m256i; 2];
    type Floats = [__m256; 2];
    type Quads = D::Quads;
    type X = D::X;
    const WIDE: bool = D::WIDE;
    const TOKENS: usize = 2;

    #[inline(always)]
    unsafe fn ints(value: i32) -> Self::Ints {
        // SAFETY: the caller's processor has the instructions.
        [unsafe { _mm256_set1_epi32(value) }; 2]
    }

    #[inline(always)]
    unsafe fn floats(value: f32) -> Self::Floats {
        // SAFETY: the caller's processor has the instructions.
        [unsafe { _mm256_set1_ps(value) }; 2]
    }

    #[inline(always)]
    unsafe fn quads(from: *const u8) -> Self::Quads {
        // SAFETY: the caller's processor has the instructions, and 64 bytes are there.
        unsafe { D::quads(halves(from)) }
    }

    #[inline(always)]
    unsafe fn half_quads(from: *const u8) -> (Self::Quads, Self::Quads) {
        // SAFETY: the caller's processor has the instructions, and 64 bytes are there.
        unsafe {
            let [a, b] = halves(from);
            let low = _mm256_set1_epi8(15);
            (
                D::quads([_mm256_and_si256(a, low), _mm256_and_si256(b, low)]),
                D::quads([
                    _mm256_and_si256(_mm256_srli_epi16::<4>(a), low),
                    _mm256_and_si256(_mm256_srli_epi16::<4>(b), low),
                ]),
            )
        }
    }

    #[inline(always)]
    unsafe fn x(from: *const u8) -> Self::X {
        // SAFETY: the caller's processor has the instructions, and the bytes are there.
        unsafe { D::x(from.cast()) }
    }

    #[inline(always)]
    unsafe fn dot(sum: Self::Ints, w: Self::Quads, x: Self::X) -> Self::Ints {
        // SAFETY: the caller's processor has the instructions.
        unsafe { D::dot(sum, w, x) }
    }

    #[inline(always)]
    unsafe fn scales(from: *const u8) -> Self::Floats {
        // SAFETY: the caller's processor has the instructions, and 32 bytes are there.
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(from.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(from.wrapping_add(16).cast())),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_scaled(
        acc: Self::Floats,
        sum: Self::Ints,
        scale: Self::Floats,
        x_scale: Self::Floats,
    ) -> Self::Floats {
        let mut out = acc;
        for half in 0..2 {
            // SAFETY: the caller's processor has the instructions.
            unsafe {
                let scale = _mm256_mul_ps(scale[half], x_scale[half]);
                out[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[half]), scale, acc[half]);
            }
        }
        out
    }

    #[inline(always)]
    unsafe fn store(values: Self::Floats, to: *mut f32) {
        // SAFETY: the caller's processor has the instructions, and there is room for 16 floats.
        unsafe {
            _mm256_storeu_ps(to, values[0]);
            _mm256_storeu_ps(to.wrapping_add(8), values[1]);
        }
    }

    #[inline(always)]
    unsafe fn transpose(rows: [*const u8; ROWS], to: *mut u8) {
        // SAFETY: the caller's processor has the instructions, 64 bytes are in each row, and there is room for 1024.
        unsafe { transpose_256(rows, to) }
    }

    #[inline(always)]
    unsafe fn part(from: *const u8, to: [*mut u8; 2]) {
        // SAFETY: the caller's processor has the instructions, 64 bytes are there, and room for 32 in each place.
        unsafe {
            let [a, b] = halves(from);
            let low = _mm256_set1_epi32(0xffff);
            let even = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
            let odd = _mm256_packus_epi32(_mm256_srli_epi32::<16>(a), _mm256_srli_epi32::<16>(b));
            for (packed, to) in [even, odd].into_iter().zip(to) {
                // Packing goes by halves of registers, so that what came of both is mixed.
                let sorted = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
                _mm256_storeu_si256(to.cast(), sorted);
            }
        }
    }

    #[inline(always)]
    unsafe fn two_blocks(
        rows: [*const u8; ROWS],
        x: *const u8,
        starts: [i32; 2],
    ) -> [Self::Ints; 2] {
        // SAFETY: the caller's processor has the instructions, and a block's bytes are at each place, twice.
        unsafe {
            let mut out = [[_mm256_setzero_si256(); 2]; 2];
            for block in 0..2 {
                let size = if D::WIDE { 2 * BLOCK } else { BLOCK };
                let x = D::block(x.wrapping_add(block * size));
                let start = _mm256_set1_epi32(starts[block]);
                for half in 0..2 {
                    // Sums of four rows, side by side: those of the block's first half, and of its second.
                    let mut fours = [_mm256_setzero_si256(); 2];
                    for i in 0..2 {
                        let mut sums = [_mm256_setzero_si256(); 4];
                        for (lane, sum) in sums.iter_mut().enumerate() {
                            let row = rows[8 * half + 4 * i + lane].wrapping_add(block * BLOCK);
                            *sum = D::eight_sums(_mm256_loadu_si256(row.cast()), x);
                        }
                        let [a, b, c, d] = sums;
                        fours[i] =
                            _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
                    }
                    let [a, b] = fours;
                    let sums = _mm256_add_epi32(
                        _mm256_permute2x128_si256::<0x20>(a, b),
                        _mm256_permute2x128_si256::<0x31>(a, b),
                    );
                    out[block][half] = _mm256_add_epi32(sums, start);
                }
            }
            out
        }
    }
}

/// Reads 64 bytes.
#[inline(always)]
unsafe fn halves(from: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's processor has AVX2, and 64 bytes are there.
    unsafe {
        [
            _mm256_loadu_si256(from.cast()),
            _mm256_loadu_si256(from.wrapping_add(32).cast()),
        ]
    }
}

/// Reads 16 bytes of each of two rows.
#[inline(always)]
pub(super) unsafe fn two_rows(a: *const u8, b: *const u8, at: usize) -> __m256i {
    // SAFETY: the caller's processor has AVX2, and the bytes are there.
    unsafe {
        let low = _mm256_castsi128_si256(_mm_loadu_si128(a.wrapping_add(at).cast()));
        _mm256_inserti128_si256::<1>(low, _mm_loadu_si128(b.wrapping_add(at).cast()))
    }
}

/// Reads 64 bytes of each row, writes 1024.
#[inline(always)]
unsafe fn transpose_256(rows: [*const u8; ROWS], to: *mut u8) {
    // SAFETY: as for `Lanes::transpose`, on a processor that has AVX2.
    unsafe {
        for part in 0..4 {
            for half in 0..2 {
                let mut twos = [_mm256_setzero_si256(); 4];
                for (i, two) in twos.iter_mut().enumerate() {
                    *two = two_rows(rows[8 * half + i], rows[8 * half + i + 4], 16 * part);
                }
                let [a, b, c, d] = twos;
                let (ab, ab2) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
                let (cd, cd2) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
                let quads = [
                    _mm256_unpacklo_epi64(ab, cd),
                    _mm256_unpackhi_epi64(ab, cd),
                    _mm256_unpacklo_epi64(ab2, cd2),
                    _mm256_unpackhi_epi64(ab2, cd2),
                ];
                for (i, quad) in quads.into_iter().enumerate() {
                    let to = to.wrapping_add(64 * (4 * part + i) + 32 * half);
                    _mm256_storeu_si256(to.cast(), quad);
                }
            }
        }
    }
}
