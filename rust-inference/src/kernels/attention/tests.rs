use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// One sequence's queries, and its keys and values in both precisions.
struct Sequence {
    shape: AttentionShape,
    first_query: usize,
    queries: Vec<f32>,
    keys: Vec<f16>,
    values: Vec<f16>,
    wide_keys: Vec<f32>,
    wide_values: Vec<f32>,
}

fn numbers(random: &mut StdRng, len: usize) -> Vec<f32> {
    (0..len).map(|_| random.random_range(-1.0..1.0)).collect()
}

impl Sequence {
    fn random(shape: AttentionShape, first_query: usize, queries: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let len = (first_query + queries) * shape.kv_heads * shape.head_dim;
        let narrow =
            |numbers: Vec<f32>| -> Vec<f16> { numbers.into_iter().map(f16::from_f32).collect() };
        let keys = narrow(numbers(&mut random, len));
        let values = narrow(numbers(&mut random, len));
        Self {
            queries: numbers(&mut random, queries * shape.heads * shape.head_dim),
            wide_keys: keys.iter().map(|v| v.to_f32()).collect(),
            wide_values: values.iter().map(|v| v.to_f32()).collect(),
            shape,
            first_query,
            keys,
            values,
        }
    }

    /// All positions from `first_key` on, cut before each of `cuts`; every part that `f16` says so for in f16.
    fn parts(
        &self,
        first_key: usize,
        cuts: &[usize],
        f16: impl Fn(usize) -> bool,
    ) -> Vec<KvPart<'_>> {
        let row = self.shape.kv_heads * self.shape.head_dim;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut * row).collect();
        cuts.extend([first_key * row, self.keys.len()]);
        cuts.retain(|cut| (first_key * row..=self.keys.len()).contains(cut));
        cuts.sort_unstable();
        let ranges = cuts.windows(2).map(|ends| ends[0]..ends[1]);
        let part = |(i, range): (usize, Range<usize>)| {
            if f16(i) {
                KvPart::F16 {
                    keys: &self.keys[range.clone()],
                    values: &self.values[range],
                }
            } else {
                KvPart::F32 {
                    keys: &self.wide_keys[range.clone()],
                    values: &self.wide_values[range],
                }
            }
        };
        ranges.enumerate().map(part).collect()
    }

    /// What the queries of `range`, computed together, see.
    fn attend(
        &self,
        level: Level,
        threads: &Threads,
        range: Range<usize>,
        first_key: usize,
        parts: Vec<KvPart<'_>>,
    ) -> Vec<f32> {
        let row = self.shape.heads * self.shape.head_dim;
        let queries = &self.queries[range.start * row..range.end * row];
        let mut out = vec![f32::NAN; queries.len()];
        let job = AttentionJob {
            queries,
            first_query: self.first_query + range.start,
            parts,
            first_key,
            out: &mut out,
        };
        attention_with(level, threads, &self.shape, &mut [job]);
        out
    }

    /// The same in f64, by the definition.
    fn exact(&self, query: usize, head: usize) -> Vec<f64> {
        let shape = &self.shape;
        let dim = shape.head_dim;
        let of = |numbers: &[f32], row: usize| -> Vec<f64> {
            let numbers = &numbers[row * dim..(row + 1) * dim];
            numbers.iter().map(|v| f64::from(*v)).collect()
        };
        let kv_head = head * shape.kv_heads / shape.heads;
        let q = of(&self.queries, query * shape.heads + head);
        let seen = shape.visible(self.first_query + query);
        let weights: Vec<f64> = (seen.clone())
            .map(|position| {
                let key = of(&self.wide_keys, position * shape.kv_heads + kv_head);
                let product: f64 = q.iter().zip(key).map(|(a, b)| a * b).sum();
                let score = product * f64::from(shape.scale);
                let cap = shape.softcap.map(f64::from);
                cap.map_or(score, |cap| cap * (score / cap).tanh()).exp()
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        let mut out = vec![0.0; dim];
        for (position, weight) in seen.zip(weights) {
            let value = of(&self.wide_values, position * shape.kv_heads + kv_head);
            for (out, value) in out.iter_mut().zip(value) {
                *out += weight / sum * value;
            }
        }
        out
    }
}

fn shapes() -> impl Strategy<Value = AttentionShape> {
    let dims = prop::sample::select(vec![2, 8, 20, 64, 80, 256]);
    let heads = (1..4usize, 1..7usize);
    let window = prop::option::of(prop::sample::select(vec![1, 2, 7, 64, 128, 130, 200]));
    let softcap = prop::option::of(1.0f32..4.0);
    (dims, heads, window, softcap).prop_map(|(head_dim, (kv_heads, group), window, softcap)| {
        AttentionShape {
            heads: kv_heads * group,
            kv_heads,
            head_dim,
            scale: 2.0 / (head_dim as f32).sqrt(),
            softcap,
            window,
        }
    })
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_level_gives_what_f64_gives(
        shape in shapes(), first in 0usize..300, queries in 1usize..40, seed: u64, cut in 0usize..300,
    ) {
        let sequence = Sequence::random(shape, first, queries, seed);
        let threads = Threads::new(2).unwrap();
        for level in Level::available() {
            let parts = sequence.parts(0, &[cut], |part| part == 0);
            let found = sequence.attend(level, &threads, 0..queries, 0, parts);
            for (i, found) in found.chunks_exact(shape.head_dim).enumerate() {
                let exact = sequence.exact(i / shape.heads, i % shape.heads);
                for (a, b) in found.iter().zip(exact) {
                    prop_assert!((f64::from(*a) - b).abs() < 3e-6, "{level:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_query_gives_the_same_bits_whatever_it_is_computed_with(
        shape in shapes(), first in 0usize..700, queries in 1usize..40, seed: u64,
        cuts in prop::collection::vec(0usize..700, 0..4), portion in 1usize..20, others in 1usize..9,
    ) {
        let sequence = Sequence::random(shape, first, queries, seed);
        let one_thread = Threads::new(1).unwrap();
        let threads = Threads::new(3).unwrap();
        for level in Level::available() {
            let in_f16 = sequence.parts(0, &[], |_| true);
            let all = bits(&sequence.attend(level, &one_thread, 0..queries, 0, in_f16));
            let row = all.len() / queries;
            let mut at = 0;
            while at < queries {
                let range = at..(at + portion).min(queries);
                // Where a window has moved on, what is before it may be gone.
                let first_key = shape.visible(first + at).start;
                for f16 in [0, 1, 2] {
                    let parts = sequence.parts(first_key, &cuts, |i| i % 2 < f16);
                    let some = sequence.attend(level, &threads, range.clone(), first_key, parts);
                    prop_assert!(bits(&some) == all[range.start * row..range.end * row]);
                }
                at = range.end;
            }
            // The first query of each of several sequences together.
            let mut out = vec![0.0; others * row];
            let jobs = out.chunks_exact_mut(row).map(|out| AttentionJob {
                queries: &sequence.queries[..row],
                first_query: first,
                parts: sequence.parts(0, &cuts, |_| true),
                first_key: 0,
                out,
            });
            attention_with(level, &threads, &shape, &mut jobs.collect::<Vec<_>>());
            prop_assert!(out.chunks_exact(row).all(|out| bits(out) == all[..row]));
        }
    }
}

#[test]
fn scores_far_apart_give_the_value_of_the_largest() {
    let shape = AttentionShape {
        heads: 1,
        kv_heads: 1,
        head_dim: 2,
        scale: 1e4,
        softcap: None,
        window: None,
    };
    let mut sequence = Sequence::random(shape, 399, 1, 7);
    sequence.queries = vec![1.0, 0.0];
    for position in 0..400 {
        sequence.wide_keys[2 * position] = if position == 130 { 3.0 } else { -3.0 };
    }
    let threads = Threads::new(2).unwrap();
    for level in Level::available() {
        let parts = sequence.parts(0, &[], |_| false);
        let out = sequence.attend(level, &threads, 0..1, 0, parts);
        assert_eq!(out, sequence.wide_values[260..262], "{level:?}");
    }
}

#[test]
#[should_panic(expected = "not all that queries")]
fn keys_that_are_missing_are_told() {
    let shape = AttentionShape {
        heads: 1,
        kv_heads: 1,
        head_dim: 2,
        scale: 1.0,
        softcap: None,
        window: None,
    };
    let sequence = Sequence::random(shape, 9, 1, 7);
    let parts = sequence.parts(1, &[], |_| true);
    sequence.attend(Level::Portable, &Threads::new(1).unwrap(), 0..1, 1, parts);
}
