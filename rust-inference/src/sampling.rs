//! Logits to a token: greedy, or drawn from the distribution that temperature, top-k, top-p and min-p leave.
//!
//! Only the candidates and their logits come in, so it is the same whether the head was computed for all of the
//! vocabulary and masked, or for the candidates alone.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// How a token is chosen. Temperature 0 is greedy. The others apply in the order of their fields.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingParams {
    pub temperature: f32,
    /// Keep the k most probable; 0: all.
    pub top_k: usize,
    /// Keep the smallest set whose probabilities sum to at least this; 0 or 1: all.
    pub top_p: f32,
    /// Keep those at least this times as probable as the most probable; 0: all.
    pub min_p: f32,
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

    /// The chosen one of the whole vocabulary.
    pub fn sample_all(&mut self, logits: &[f32]) -> Option<u32> {
        if self.params.temperature <= 0.0 {
            return greedy_of_all(logits);
        }
        self.sample((0..).zip(logits.iter().copied()))
    }

    /// The chosen one of these tokens, each with its logit, ascending, so that a seed means the same however they were
    /// computed. `None` if no logit is a number.
    pub fn sample(&mut self, candidates: impl Iterator<Item = (u32, f32)>) -> Option<u32> {
        let SamplingParams {
            temperature,
            top_k,
            top_p,
            min_p,
            ..
        } = self.params;
        if temperature <= 0.0 {
            return greedy(candidates);
        }
        let mut kept: Vec<(u32, f32)> = candidates
            .filter(|(_, logit)| !logit.is_nan() && *logit > f32::NEG_INFINITY)
            .collect();
        // Sorting a whole vocabulary takes as long as a pass through the model: only what has to be is sorted.
        if top_k > 0 && top_k < kept.len() {
            kept.select_nth_unstable_by(top_k, |a, b| descending(*a, *b));
            kept.truncate(top_k);
            kept.sort_unstable_by(|a, b| descending(*a, *b));
        }
        let max = (kept.iter().map(|(_, logit)| *logit)).reduce(f32::max)?;
        for (_, logit) in &mut kept {
            *logit = ((*logit - max) / temperature).exp();
        }
        if top_p > 0.0 && top_p < 1.0 {
            keep_top_p(&mut kept, f64::from(top_p));
        }
        // The most probable weighs 1.
        kept.retain(|(_, weight)| *weight >= min_p.min(1.0));
        let mut left = self.random.random::<f64>() * sum(&kept);
        let drawn = kept.iter().find(|(_, weight)| {
            left -= f64::from(*weight);
            left < 0.0
        });
        drawn.or(kept.last()).map(|(id, _)| *id)
    }
}

/// The heaviest first; of equals the one with the lowest id.
pub(crate) fn descending(a: (u32, f32), b: (u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// In f64: of a quarter of a million small weights none may get lost.
fn sum(weights: &[(u32, f32)]) -> f64 {
    weights.iter().map(|(_, weight)| f64::from(*weight)).sum()
}

fn keep_top_p(weights: &mut Vec<(u32, f32)>, top_p: f64) {
    let total = sum(weights);
    // All that are lighter than this weigh less together than what may be left out, so none of them is kept.
    let lightest = (1.0 - top_p) * total / weights.len() as f64;
    weights.retain(|(_, weight)| f64::from(*weight) >= lightest);
    weights.sort_unstable_by(|a, b| descending(*a, *b));
    let mut heaviest = 0.0;
    let enough = weights.iter().position(|(_, weight)| {
        heaviest += f64::from(*weight);
        heaviest >= top_p * total
    });
    weights.truncate(enough.map_or(weights.len(), |last| last + 1));
}

/// The first one of the largest.
fn greedy(candidates: impl Iterator<Item = (u32, f32)>) -> Option<u32> {
    candidates
        .filter(|(_, logit)| *logit > f32::NEG_INFINITY)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(id, _)| id)
}

/// The same of the whole vocabulary, of which only the piece with the largest is looked at one by one.
fn greedy_of_all(logits: &[f32]) -> Option<u32> {
    const LANES: usize = 16;
    const PIECE: usize = 64 * LANES;
    let mut largest = f32::NEG_INFINITY;
    let mut found = None;
    for (i, piece) in logits.chunks(PIECE).enumerate() {
        let (vectors, rest) = piece.as_chunks::<LANES>();
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for vector in vectors {
            for (lane, logit) in lanes.iter_mut().zip(vector) {
                *lane = if *logit > *lane { *logit } else { *lane };
            }
        }
        let of_piece = lanes.iter().chain(rest).copied().fold(largest, f32::max);
        if of_piece > largest {
            (largest, found) = (of_piece, Some((i, piece)));
        }
    }
    let (i, piece) = found?;
    let within = piece.iter().position(|logit| *logit >= largest)?;
    Some((i * PIECE + within) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(logits: &[f32]) -> impl Iterator<Item = (u32, f32)> {
        (0u32..).zip(logits.iter().copied())
    }

    fn counts(params: SamplingParams, logits: &[f32]) -> Vec<usize> {
        let mut sampler = Sampler::new(SamplingParams {
            seed: Some(7),
            ..params
        });
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.sample(all(logits)).unwrap() as usize] += 1;
        }
        counts
    }

    const LOGITS: [f32; 4] = [0.0, 2.0, 1.0, -1.0];

    #[test]
    fn greedy_takes_the_largest_with_the_lowest_id_and_skips_nan() {
        let mut sampler = Sampler::new(SamplingParams::default());
        assert_eq!(sampler.sample(all(&[1.0, f32::NAN, 3.0, 3.0])), Some(2));
        assert_eq!(sampler.sample([(4, 3.0), (9, 3.0)].into_iter()), Some(4));
        assert_eq!(sampler.sample(all(&[f32::NAN])), None);
        assert_eq!(sampler.sample(all(&[])), None);
    }

    proptest! {
        #[test]
        fn of_the_whole_vocabulary_is_chosen_what_is_chosen_of_all_tokens(
            logits in prop::collection::vec(
                prop_oneof![-2f32..2.0, Just(1.5), Just(f32::NAN), Just(f32::NEG_INFINITY)],
                0..3000,
            ),
            temperature in prop_oneof![Just(0.0f32), Just(0.8)],
        ) {
            let params = SamplingParams { temperature, seed: Some(1), ..Default::default() };
            let [mut one, mut other] = [Sampler::new(params), Sampler::new(params)];
            prop_assert_eq!(one.sample_all(&logits), other.sample(all(&logits)));
        }
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
    fn top_k_top_p_and_min_p_leave_out_the_rest() {
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
        // Of .09, .64, .24, .03 two are at least 0.3 times as probable as the most probable.
        let min_p = counts(
            SamplingParams {
                min_p: 0.3,
                ..params
            },
            &LOGITS,
        );
        assert!(min_p[0] == 0 && min_p[3] == 0 && min_p[1] > 0 && min_p[2] > 0);
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
            (0..50).map(|_| s.sample(all(&LOGITS))).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    proptest! {
        #[test]
        fn top_p_keeps_the_fewest_that_are_probable_enough(
            weights in prop::collection::vec(1u16..1000, 1..300),
            top_p in 0.01f64..0.99,
        ) {
            let weights: Vec<(u32, f32)> = (0..).zip(weights.into_iter().map(f32::from)).collect();
            let mut kept = weights.clone();
            keep_top_p(&mut kept, top_p);
            let mut sorted = weights.clone();
            sorted.sort_by(|a, b| descending(*a, *b));
            let enough = |count: usize| sum(&sorted[..count]) >= top_p * sum(&weights);
            let fewest = (1..=sorted.len()).find(|count| enough(*count)).unwrap();
            prop_assert_eq!(kept, &sorted[..fewest]);
        }

        #[test]
        fn a_seed_draws_the_same_of_the_candidates_as_of_a_masked_vocabulary(
            logits in prop::collection::vec((-40i8..40).prop_map(|v| f32::from(v) / 10.0), 1..200),
            keep in any::<u64>(),
            temperature in prop::sample::select(vec![0.0f32, 0.3, 1.0, 2.0]),
            top_k in 0usize..20,
            top_p in 0.0f32..1.0,
            min_p in 0.0f32..0.5,
            seed in any::<u64>(),
        ) {
            let params = SamplingParams { temperature, top_k, top_p, min_p, seed: Some(seed) };
            let (mut by_mask, mut by_rows) = (Sampler::new(params), Sampler::new(params));
            let kept = |id: u32| keep >> (id % 64) & 1 == 1;
            let rows: Vec<(u32, f32)> = all(&logits).filter(|(id, _)| kept(*id)).collect();
            for _ in 0..20 {
                let masked = by_mask.sample(all(&logits).filter(|(id, _)| kept(*id)));
                prop_assert!(masked.is_none_or(kept));
                prop_assert_eq!(by_rows.sample(rows.iter().copied()), masked);
            }
        }
    }
}
