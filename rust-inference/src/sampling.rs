//! Logits to a token: greedy, or drawn from the distribution that temperature, top-k and top-p leave.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// How a token is chosen. Temperature 0 is greedy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingParams {
    pub temperature: f32,
    /// Keep the k most probable; 0: all.
    pub top_k: usize,
    /// Keep the smallest set whose probabilities sum to at least this; 0 or 1: all.
    pub top_p: f32,
    /// `None`: drawn from the system.
    pub seed: Option<u64>,
}

/// Chooses the tokens of one request.
#[derive(Debug)]
pub struct Sampler {
    params: SamplingParams,
    random: StdRng,
}

impl Sampler {
    pub fn new(params: SamplingParams) -> Self {
        let seed = params.seed.unwrap_or_else(|| rand::rng().next_u64());
        Self {
            params,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The chosen index. `None` if no logit is a number.
    pub fn sample(&mut self, logits: &[f32]) -> Option<u32> {
        if self.params.temperature <= 0.0 {
            return greedy(logits);
        }
        let mut kept: Vec<(u32, f32)> = (0u32..)
            .zip(logits.iter().copied())
            .filter(|(_, logit)| !logit.is_nan() && *logit > f32::NEG_INFINITY)
            .collect();
        // Equal logits in the order of their ids, so that a seed means the same everywhere.
        kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.params.top_k > 0 {
            kept.truncate(self.params.top_k);
        }
        let max = kept.first()?.1;
        for (_, logit) in &mut kept {
            *logit = ((*logit - max) / self.params.temperature).exp();
        }
        if self.params.top_p > 0.0 && self.params.top_p < 1.0 {
            let enough = self.params.top_p * kept.iter().map(|(_, weight)| weight).sum::<f32>();
            let mut sum = 0.0;
            let cut = kept.iter().position(|(_, weight)| {
                sum += weight;
                sum >= enough
            });
            kept.truncate(cut.map_or(kept.len(), |last| last + 1));
        }
        let mut left =
            self.random.random::<f32>() * kept.iter().map(|(_, weight)| weight).sum::<f32>();
        let drawn = kept.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        drawn.or(kept.last()).map(|(id, _)| *id)
    }
}

/// The first of the largest.
fn greedy(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (id, logit) in (0u32..).zip(logits.iter().copied()) {
        if !logit.is_nan() && best.is_none_or(|(_, most)| logit > most) {
            best = Some((id, logit));
        }
    }
    best.map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(params: SamplingParams, logits: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(SamplingParams {
            seed: Some(7),
            ..params
        });
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.sample(logits).unwrap() as usize] += 1;
        }
        counts
    }

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, -1.0];

    #[test]
    fn greedy_takes_the_first_largest_and_skips_nan() {
        let mut sampler = Sampler::new(SamplingParams::default());
        assert_eq!(sampler.sample(&[1.0, f32::NAN, 3.0, 3.0]), Some(2));
        assert_eq!(sampler.sample(&[f32::NAN]), None);
        assert_eq!(sampler.sample(&[]), None);
    }

    #[test]
    fn the_draws_follow_the_softmax() {
        for temperature in [0.5, 1.0, 2.0] {
            let weights: Vec<f32> = LOGITS.iter().map(|l| (l / temperature).exp()).collect();
            let total: f32 = weights.iter().sum();
            let counts = counts(
                SamplingParams {
                    temperature,
                    ..Default::default()
                },
                &LOGITS,
            );
            for (count, weight) in counts.iter().zip(weights) {
                assert!(
                    (*count as f32 / 20_000.0 - weight / total).abs() < 0.015,
                    "{counts:?} at {temperature}"
                );
            }
        }
    }

    #[test]
    fn top_k_and_top_p_leave_out_the_rest() {
        let params = SamplingParams {
            temperature: 1.0,
            ..Default::default()
        };
        let top_k = counts(SamplingParams { top_k: 2, ..params }, &LOGITS);
        assert!(top_k[0] == 0 && top_k[3] == 0 && top_k[1] > 0 && top_k[2] > 0);
        // The probabilities are .09, .64, .24, .03: two are needed for 0.7.
        let top_p = counts(
            SamplingParams {
                top_p: 0.7,
                ..params
            },
            &LOGITS,
        );
        assert!(top_p[0] == 0 && top_p[3] == 0 && top_p[1] > 0 && top_p[2] > 0);
        let least = counts(
            SamplingParams {
                top_p: 0.01,
                ..params
            },
            &LOGITS,
        );
        assert_eq!(least[1], 20_000);
    }

    #[test]
    fn a_seed_repeats_and_another_differs() {
        let run = |seed| {
            let mut s = Sampler::new(SamplingParams {
                temperature: 1.0,
                seed: Some(seed),
                ..Default::default()
            });
            (0..50).map(|_| s.sample(&LOGITS)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
