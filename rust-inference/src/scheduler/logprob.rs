//! How probable the model found a token: for whoever wants to know how sure it was.

use super::Logprob;
use crate::sampling::descending;

impl Logprob {
    /// Of `token` and of the `top` most probable ones. Nothing if there is no logit of `token`.
    pub(crate) fn of(token: u32, logits: &[f32], top: usize) -> Option<Self> {
        let of_token = *logits.get(token as usize)?;
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // A quarter of a million terms: in f64, so that none gets lost.
        let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
        let total = max + sum.ln() as f32;
        let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().map(|l| l - total)).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| descending(*a, *b);
        if top < all.len() {
            all.select_nth_unstable_by(top, order);
            all.truncate(top);
        }
        all.sort_unstable_by(order);
        Some(Self {
            logprob: of_token - total,
            top: all,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_those_of_the_softmax() {
        let logits = [1.0f32, 3.0, -2.0, 3.0];
        let sum: f32 = logits.iter().map(|l| l.exp()).sum();
        let exact = |id: usize| (logits[id].exp() / sum).ln();
        for top in 0..6 {
            let found = Logprob::of(2, &logits, top).unwrap();
            assert!((found.logprob - exact(2)).abs() < 1e-5);
            let ids: Vec<u32> = found.top.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [1, 3, 0, 2][..top.min(4)]);
            for (id, logprob) in found.top {
                assert!((logprob - exact(id as usize)).abs() < 1e-5);
            }
        }
        assert_eq!(Logprob::of(4, &logits, 1), None);
    }
}
