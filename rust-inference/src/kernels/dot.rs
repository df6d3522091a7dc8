//! Dot products of an activation row with a weight row, for each instruction set.

// Each of these small loops has to be compiled anew inside every function with a `target_feature` of its own.
#![allow(clippy::inline_always)]

use std::sync::OnceLock;

use half::bf16;

/// The instruction sets that the loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Whatever the compiler may assume of every processor of the target.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best level of this processor, looked up once.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable))
    }

    /// All levels of this processor, the best last.
    pub(crate) fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if avx2 {
                levels.push(Self::Avx2);
            }
            if avx2 && is_x86_feature_detected!("avx512f") {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    pub(crate) fn dot(self, x: &[f32], w: &[f32]) -> f32 {
        match self {
            Self::Portable => dot::<false>(x, w),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has avx2 and fma.
            Self::Avx2 => unsafe { dot_avx2(x, w) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has avx512f, avx2 and fma.
            Self::Avx512 => unsafe { dot_avx512(x, w) },
        }
    }

    pub(crate) fn dot_bf16(self, x: &[f32], w: &[bf16]) -> f32 {
        match self {
            Self::Portable => dot_bf16::<false>(x, w),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has avx2 and fma.
            Self::Avx2 => unsafe { dot_bf16_avx2(x, w) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level is only made where the processor has avx512f, avx2 and fma.
            Self::Avx512 => unsafe { dot_bf16_avx512(x, w) },
        }
    }
}

/// Sums kept apart, so that the additions do not wait for each other and fit one or two vector registers.
const LANES: usize = 32;

#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn accumulate<const FMA: bool, T: Copy>(x: &[f32], w: &[T], widen: impl Fn(T) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let (w_blocks, w_rest) = w.as_chunks::<LANES>();
    for (x, w) in x_blocks.iter().zip(w_blocks) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FMA>(x[lane], widen(w[lane]), sums[lane]);
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for (&x, &w) in x_rest.iter().zip(w_rest) {
        sum = multiply_add::<FMA>(x, widen(w), sum);
    }
    sum
}

/// bf16 is the upper half of an f32.
#[inline(always)]
fn widen_bf16(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

#[inline(always)]
fn dot<const FMA: bool>(x: &[f32], w: &[f32]) -> f32 {
    accumulate::<FMA, _>(x, w, |value| value)
}

#[inline(always)]
fn dot_bf16<const FMA: bool>(x: &[f32], w: &[bf16]) -> f32 {
    accumulate::<FMA, _>(x, w, widen_bf16)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2(x: &[f32], w: &[f32]) -> f32 {
    dot::<true>(x, w)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_bf16_avx2(x: &[f32], w: &[bf16]) -> f32 {
    dot_bf16::<true>(x, w)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn dot_avx512(x: &[f32], w: &[f32]) -> f32 {
    dot::<true>(x, w)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn dot_bf16_avx512(x: &[f32], w: &[bf16]) -> f32 {
    dot_bf16::<true>(x, w)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_agrees_with_the_plain_sum(values in prop::collection::vec((-2.0f32..2.0, -2.0f32..2.0), 0..300)) {
            let x: Vec<f32> = values.iter().map(|v| v.0).collect();
            let w: Vec<bf16> = values.iter().map(|v| bf16::from_f32(v.1)).collect();
            let wide: Vec<f32> = w.iter().map(|v| v.to_f32()).collect();
            let exact: f64 = x.iter().zip(&wide).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            for level in Level::available() {
                prop_assert!((f64::from(level.dot(&x, &wide)) - exact).abs() < 1e-3, "{level:?}");
                prop_assert!((f64::from(level.dot_bf16(&x, &w)) - exact).abs() < 1e-3, "{level:?}");
            }
        }
    }
}
