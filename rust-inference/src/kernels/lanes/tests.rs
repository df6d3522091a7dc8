use proptest::prelude::*;

use super::*;

/// Each operation's result, beside what it has to be.
struct Operations<'a>(&'a [f32]);

impl Kernel for Operations<'_> {
    type Output = Vec<(f32, f32)>;

    fn run<const N: usize, L: Lanes<N>>(self, lanes: L) -> Vec<(f32, f32)> {
        let values: &[f32; N] = self.0.first_chunk().unwrap();
        let others: &[f32; N] = self.0.last_chunk().unwrap();
        let stored = |vector: L::V| {
            let mut out = [0.0; N];
            lanes.store(vector, &mut out);
            out
        };
        let (v, w) = (lanes.load(values), lanes.load(others));
        let half = values.map(f16::from_f32);
        let brain = values.map(bf16::from_f32);
        let mut pairs: Vec<(f32, f32)> = Vec::new();
        let mut expect = |found: [f32; N], expected: [f32; N]| {
            pairs.extend(found.into_iter().zip(expected));
        };
        expect(stored(v), *values);
        expect(stored(lanes.load_f16(&half)), half.map(f16::to_f32));
        expect(stored(lanes.load_bf16(&brain)), brain.map(bf16::to_f32));
        expect(stored(lanes.splat(values[1])), [values[1]; N]);
        expect(
            stored(lanes.mul_add(v, w, lanes.splat(1.0))),
            std::array::from_fn(|i| mul_add(lanes, values[i], others[i], 1.0)),
        );
        // Every vector with another sum, and the same one in every place.
        let rotated = |i: usize| std::array::from_fn(|j| self.0[i + j]);
        expect(
            lanes.sums(std::array::from_fn(|i| lanes.load(&rotated(i)))),
            std::array::from_fn(|i| lanes.sums([lanes.load(&rotated(i)); N])[(i * 7 + 3) % N]),
        );
        pairs.extend((0..N).map(|i| {
            let exact: f64 = rotated(i).iter().map(|v: &f32| f64::from(*v)).sum();
            let found = lanes.sums([lanes.load(&rotated(i)); N])[0];
            // Rounded, so that the order of the additions does not matter here.
            (
                (found * 1e3).round() + 0.0,
                (exact as f32 * 1e3).round() + 0.0,
            )
        }));
        pairs
    }
}

proptest! {
    #[test]
    fn vectors_of_every_level_compute_what_single_numbers_give(
        thousandths in prop::collection::vec(-9000i32..9000, 32..33),
    ) {
        let values: Vec<f32> = thousandths.iter().map(|v| *v as f32 / 1000.0).collect();
        for level in Level::available() {
            for (found, expected) in level.run(Operations(&values)) {
                prop_assert_eq!(found.to_bits(), expected.to_bits(), "{:?}", level);
            }
        }
    }
}
