//! Several measurements of the same thing, and what is told of them.

use serde::Serialize;

/// The median says how it is, the extremes how much to believe it.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Sample {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) p99: f64,
    pub(super) runs: usize,
}

impl Sample {
    /// All 0 of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        // The smallest value that so many of all do not exceed.
        let quantile = |part: f64| {
            let rank = (part * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self {
            median: quantile(0.5),
            least: quantile(0.0),
            most: quantile(1.0),
            p99: quantile(0.99),
            runs: values.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let of = |values: &[f64]| {
            let s = Sample::of(values.to_vec());
            [s.least, s.median, s.p99, s.most].map(|value| value as i32)
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), [1, 2, 3, 3]);
        assert_eq!(of(&[4.0, 3.0, 1.0, 2.0]), [1, 2, 4, 4]);
        assert_eq!(of(&[7.0]), [7; 4]);
        let many: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(of(&many), [1, 100, 198, 200]);
    }
}
