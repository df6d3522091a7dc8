//! exp, tanh, gelu, sine and cosine without branches, so that the compiler turns a loop over them into vectors.
//! The standard library's are exact to the last bit and take ten times as long.

#![allow(clippy::inline_always)]

use super::lanes::{Lanes, mul_add};

/// Added to and taken from a number below 2^22, this leaves the nearest integer, which is also in the sum's low bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// e to the `x`, to 2 units in the last place, from 0 over the subnormal numbers to infinity; of NaN, NaN.
#[inline(always)]
pub(super) fn exp<const N: usize, L: Lanes<N>>(lanes: L, x: f32) -> f32 {
    // Beyond these the result is 0 or infinity. A NaN passes both comparisons.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let rounded = mul_add(lanes, x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    // ln 2 in two parts, the first of so few bits that its product with n is exact.
    let r = mul_add(lanes, n, -0.693_359_4, x);
    let r = mul_add(lanes, n, 2.121_944_4e-4, r);
    let mut y = 1.987_569_1e-4;
    for factor in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ] {
        y = mul_add(lanes, y, r, factor);
    }
    let y = mul_add(lanes, y * r, r, r) + 1.0;
    // 2^n in two factors: one alone would not reach the ends of the range.
    let n = (rounded.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// The hyperbolic tangent, to 4 units in the last place.
#[inline(always)]
pub(super) fn tanh<const N: usize, L: Lanes<N>>(lanes: L, x: f32) -> f32 {
    let square = x * x;
    let mut y = -5.704_988_7e-3;
    for factor in [2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8] {
        y = mul_add(lanes, y, square, factor);
    }
    let small = mul_add(lanes, y * square, x, x);
    let large = 1.0 - 2.0 / (exp(lanes, 2.0 * x.abs()) + 1.0);
    if x.abs() < 0.625 {
        small
    } else {
        large.copysign(x)
    }
}

/// gelu by its approximation with tanh (`gelu_pytorch_tanh`), written with exp, which does not lose what tanh near −1
/// does: x · (1 + tanh u) / 2 is x / (1 + exp(−2u)).
#[inline(always)]
pub(super) fn gelu_tanh<const N: usize, L: Lanes<N>>(lanes: L, x: f32) -> f32 {
    const TWO_SQRT_2_OVER_PI: f32 = 1.595_769;
    let cube = mul_add(lanes, 0.044_715 * x * x, x, x);
    x / (1.0 + exp(lanes, -TWO_SQRT_2_OVER_PI * cube))
}

/// Sine and cosine of `x` below 2^22 to about 1e-7: the turns are taken off in f64.
#[inline(always)]
pub(super) fn sin_cos(x: f32) -> (f32, f32) {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = f64::from(x);
    let rounded = x * std::f64::consts::FRAC_2_PI + ROUND;
    let quarter = rounded.to_bits();
    let r = (x - (rounded - ROUND) * std::f64::consts::FRAC_PI_2) as f32;
    let square = r * r;
    let sin = ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 0.166_666_55) * square * r + r;
    let cos =
        ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2) * square * square
            - 0.5 * square
            + 1.0;
    let (s, c) = if quarter & 1 == 0 {
        (sin, cos)
    } else {
        (cos, sin)
    };
    let sign = |bit: u64| ((bit & 2) << 30) as u32;
    (
        f32::from_bits(s.to_bits() ^ sign(quarter)),
        f32::from_bits(c.to_bits() ^ sign(quarter.wrapping_add(1))),
    )
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the limits are exact")]
mod tests {
    use super::*;
    use crate::kernels::{Level, lanes::Kernel};

    /// One of the functions on each number.
    struct Each<'a>(&'a str, &'a [f32]);

    impl Kernel for Each<'_> {
        type Output = Vec<f32>;

        fn run<const N: usize, L: Lanes<N>>(self, lanes: L) -> Vec<f32> {
            let function = |x: &f32| match self.0 {
                "exp" => exp(lanes, *x),
                "tanh" => tanh(lanes, *x),
                _ => gelu_tanh(lanes, *x),
            };
            self.1.iter().map(function).collect()
        }
    }

    /// Checks `name` against `exact` on numbers of all sizes up to `max` and around all that is special.
    fn check(name: &str, max: f32, ulps: f64, exact: impl Fn(f64) -> f64) {
        let mut numbers: Vec<f32> = (0..400_000).map(|i| max * (i as f32 / 2e5 - 1.0)).collect();
        numbers.extend((0..2000).map(|i| 1.1f32.powi(i - 1000).clamp(1e-44, max)));
        numbers.extend(numbers.clone().iter().map(|x| -x));
        for level in Level::available() {
            let found = level.run(Each(name, &numbers));
            for (x, found) in numbers.iter().zip(found) {
                let exact = exact(f64::from(*x));
                let ulp = f64::from((exact.abs() as f32).next_up()) - exact.abs();
                let ulp = ulp.max(f64::from(f32::from_bits(1)));
                assert!(
                    found == exact as f32 || (f64::from(found) - exact).abs() <= ulps * ulp,
                    "{level:?} {name}({x}) = {found}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn exp_is_right_to_two_units_in_the_last_place() {
        check("exp", 110.0, 2.0, f64::exp);
    }

    #[test]
    fn tanh_is_right_to_four_units_in_the_last_place() {
        check("tanh", 12.0, 4.0, f64::tanh);
    }

    #[test]
    fn gelu_is_right_to_a_ten_millionth_of_its_argument() {
        let exact = |x: f64| {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x / (1.0 + (-2.0 * u).exp())
        };
        let numbers: Vec<f32> = (0..400_000)
            .map(|i| 30.0 * (i as f32 / 2e5 - 1.0))
            .collect();
        for level in Level::available() {
            for (x, found) in numbers.iter().zip(level.run(Each("gelu", &numbers))) {
                let off = (f64::from(found) - exact(f64::from(*x))).abs();
                assert!(off <= 2e-7 * f64::from(x.abs()), "{level:?} {x}: {found}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_gives_the_limits() {
        let numbers = [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            3e38,
            -3e38,
            -0.0,
        ];
        for level in Level::available() {
            let exp = level.run(Each("exp", &numbers));
            assert_eq!(
                [exp[0], exp[1], exp[3], exp[4], exp[5]],
                [f32::INFINITY, 0.0, f32::INFINITY, 0.0, 1.0]
            );
            let tanh = level.run(Each("tanh", &numbers));
            assert_eq!(
                [tanh[0], tanh[1], tanh[3], tanh[4], tanh[5]],
                [1.0, -1.0, 1.0, -1.0, -0.0]
            );
            let gelu = level.run(Each("gelu", &numbers));
            assert_eq!(
                [gelu[0], gelu[3], gelu[4], gelu[5]],
                [f32::INFINITY, 3e38, 0.0, 0.0]
            );
            assert!(exp[2].is_nan() && tanh[2].is_nan() && gelu[2].is_nan());
        }
    }

    #[test]
    fn sine_and_cosine_of_a_long_context_s_angles_are_right() {
        for i in -200_000..200_000 {
            let x = i as f32 * 0.657 + 0.1;
            let (sin, cos) = sin_cos(x);
            assert!(
                (f64::from(sin) - f64::from(x).sin()).abs() < 1.2e-7,
                "{x} {sin}"
            );
            assert!(
                (f64::from(cos) - f64::from(x).cos()).abs() < 1.2e-7,
                "{x} {cos}"
            );
        }
    }
}
