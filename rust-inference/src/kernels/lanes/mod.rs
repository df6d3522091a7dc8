//! Vectors of floats as wide as the processor's registers, so that a loop is written once and compiled for each level.
//!
//! A value of a type that implements [`Lanes`] is the proof that the processor has the instructions, because only
//! [`Level::run`] makes one. That is why its methods are safe to call. They are inlined into the function that
//! `Level::run` compiles for the level, and with them everything that is marked `inline(always)` above them.

#![allow(clippy::inline_always)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use half::{bf16, f16};

use super::Level;

/// A multiple of every level's `N`.
pub(super) const WIDEST: usize = 16;

/// Arithmetic on vectors of `N` floats.
pub(super) trait Lanes<const N: usize>: Copy {
    type V: Copy;
    /// Whether products are added in one rounding.
    const FMA: bool;

    fn splat(self, value: f32) -> Self::V;
    fn load(self, from: &[f32; N]) -> Self::V;
    fn load_f16(self, from: &[f16; N]) -> Self::V;
    fn load_bf16(self, from: &[bf16; N]) -> Self::V;
    fn store(self, value: Self::V, to: &mut [f32; N]);
    /// `a · b + c`
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The sum of each vector's lanes, in the vectors' order. Each is added up in the same order, wherever it stands.
    fn sums(self, vectors: [Self::V; N]) -> [f32; N];
}

/// Numbers that are widened to f32 as they are loaded.
pub(super) trait Element: Copy + Sync {
    fn widened(self) -> f32;
    fn load<const N: usize, L: Lanes<N>>(lanes: L, from: &[Self; N]) -> L::V;
}

impl Element for f32 {
    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<const N: usize, L: Lanes<N>>(lanes: L, from: &[Self; N]) -> L::V {
        lanes.load(from)
    }
}

impl Element for f16 {
    #[inline(always)]
    fn widened(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn load<const N: usize, L: Lanes<N>>(lanes: L, from: &[Self; N]) -> L::V {
        lanes.load_f16(from)
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn load<const N: usize, L: Lanes<N>>(lanes: L, from: &[Self; N]) -> L::V {
        lanes.load_bf16(from)
    }
}

/// A loop that is to be compiled for each level. `run` has to be `inline(always)`.
pub(super) trait Kernel {
    type Output;

    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) -> Self::Output;
}

impl Level {
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(portable::Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has what `avx2::run` needs.
            Self::Avx2 => unsafe { avx2::run(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has what `avx512::run` needs.
            Self::Avx512 => unsafe { avx512::run(kernel) },
        }
    }
}

/// `a · b + c` of single floats, as the vectors of `L` compute it: in loops that the compiler turns into vectors.
#[inline(always)]
pub(super) fn mul_add<const N: usize, L: Lanes<N>>(_: L, a: f32, b: f32, c: f32) -> f32 {
    if L::FMA { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests;
