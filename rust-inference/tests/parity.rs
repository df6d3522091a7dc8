//! The engine's logits against transformers' on random checkpoints, and its greedy answers on the default model.
//! The references were made by `scripts/make_reference_logits.py`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{fs, path::PathBuf};

use rust_inference::{
    embedded,
    kernels::Weights,
    model::{Attention, KvCache, LoadOptions, Model, ModelFiles, Span},
};
use safetensors::SafeTensors;

const CHECKPOINTS: [&str; 6] = [
    "one-kv-head",
    "several-kv-heads",
    "scaled-positions",
    "long-context",
    "half-precision",
    "own-head",
];
/// As the checkpoint says.
const EXACT: LoadOptions = LoadOptions {
    weights: Weights::F32,
    threads: 2,
    packed_cache: false,
};
const TOLERANCE: f32 = 1e-4;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

fn load(name: &str) -> Model {
    Model::load(&ModelFiles::open(&testdata(name)).unwrap(), &EXACT).unwrap()
}

struct Reference {
    tokens: Vec<u32>,
    logits: Vec<f32>,
}

fn reference(name: &str) -> Reference {
    let bytes = fs::read(testdata(&format!("{name}.reference"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| {
        file.tensor(name)
            .unwrap()
            .data()
            .as_chunks::<4>()
            .0
            .to_vec()
    };
    Reference {
        tokens: words("tokens")
            .into_iter()
            .map(u32::from_le_bytes)
            .collect(),
        logits: words("logits")
            .into_iter()
            .map(f32::from_le_bytes)
            .collect(),
    }
}

/// The largest difference when the tokens go through the model in portions of `portion`.
fn difference(name: &str, portion: usize) -> f32 {
    let model = load(name);
    let reference = reference(name);
    let mut cache = KvCache::new(&model);
    let mut logits = Vec::new();
    for tokens in reference.tokens.chunks(portion) {
        logits.extend(model.logits(&model.forward(tokens, &mut cache)));
    }
    assert_eq!(logits.len(), reference.logits.len());
    assert!(
        reference.tokens.len() >= 4 * model.config.sliding_window,
        "the window is crossed many times"
    );
    logits
        .iter()
        .zip(&reference.logits)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn logits_match_transformers_in_one_prefill() {
    for name in CHECKPOINTS {
        let difference = difference(name, usize::MAX);
        assert!(difference < TOLERANCE, "{name}: {difference}");
    }
}

#[test]
fn logits_match_transformers_token_by_token() {
    for name in CHECKPOINTS {
        let difference = difference(name, 1);
        assert!(difference < TOLERANCE, "{name}: {difference}");
    }
}

#[test]
fn logits_match_transformers_in_chunks_of_any_size() {
    for name in CHECKPOINTS {
        for portion in [2, 3, 5, 7, 15, 16, 17, 31, 33, 63] {
            let difference = difference(name, portion);
            assert!(difference < TOLERANCE, "{name} by {portion}: {difference}");
        }
    }
}

/// The bits of the logits of `tokens` behind what the cache holds.
fn bits(model: &Model, tokens: &[u32], cache: &mut KvCache) -> Vec<u32> {
    let logits = model.logits(&model.forward(tokens, cache));
    logits.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_prefix_that_is_shared_gives_the_same_bits_as_one_that_is_computed() {
    for name in CHECKPOINTS {
        let model = load(name);
        let tokens = reference(name).tokens;
        let whole = bits(&model, &tokens, &mut KvCache::new(&model));
        let vocabulary = model.config.vocab_size;
        // In three segments, the first two longer than the sliding window.
        let mut cache = KvCache::new(&model);
        let mut frozen = cache.freeze();
        let cuts = [
            model.config.sliding_window + 3,
            2 * model.config.sliding_window + 5,
        ];
        assert!(cuts[1] + 4 < tokens.len());
        for part in [
            &tokens[..cuts[0]],
            &tokens[cuts[0]..cuts[1]],
            &tokens[cuts[1]..],
        ] {
            model.forward(part, &mut cache);
            frozen = cache.freeze();
        }
        for len in 0..tokens.len() {
            let mut resumed = KvCache::resume(&model, &frozen, len);
            assert_eq!(resumed.len(), len);
            let rest = bits(&model, &tokens[len..], &mut resumed);
            assert_eq!(rest, whole[len * vocabulary..], "{name} from {len}");
        }
        // None of them has changed what they share.
        let mut again = KvCache::resume(&model, &frozen, cuts[1]);
        let rest = bits(&model, &tokens[cuts[1]..], &mut again);
        assert_eq!(rest, whole[cuts[1] * vocabulary..]);
    }
}

#[test]
fn what_is_forgotten_leaves_no_trace() {
    for name in CHECKPOINTS {
        let model = load(name);
        let tokens = reference(name).tokens;
        let whole = bits(&model, &tokens, &mut KvCache::new(&model));
        // Down to the end of what was right, within it, to the end of what is shared, within that, and to nothing.
        for len in [23, 21, 20, 12, 0] {
            let mut cache = KvCache::new(&model);
            model.forward(&tokens[..20], &mut cache);
            cache.freeze();
            model.forward(&tokens[20..23], &mut cache);
            model.forward(&[3; 40], &mut cache);
            cache.truncate(len);
            assert_eq!(cache.len(), len);
            let rest = bits(&model, &tokens[len..], &mut cache);
            assert_eq!(rest, whole[len * model.config.vocab_size..], "{name} {len}");
        }
    }
}

#[test]
fn a_long_sequence_forgets_what_no_window_reaches_and_goes_on_with_the_same_bits() {
    for weights in [Weights::F32, Weights::Bf16] {
        let options = LoadOptions { weights, ..EXACT };
        let files = ModelFiles::open(&testdata(CHECKPOINTS[1])).unwrap();
        let model = Model::load(&files, &options).unwrap();
        let (window, vocabulary) = (model.config.sliding_window, model.config.vocab_size);
        let tokens: Vec<u32> = (0..400u32).map(|i| i * i % vocabulary as u32).collect();
        let whole = bits(&model, &tokens, &mut KvCache::new(&model));
        let mut cache = KvCache::new(&model);
        let mut bytes = Vec::new();
        for (i, part) in tokens[..390].chunks(13).enumerate() {
            let from = i * 13 * vocabulary;
            let rest = bits(&model, part, &mut cache);
            assert_eq!(rest, whole[from..from + rest.len()]);
            // A guess that was wrong, as often as not where much was just dropped.
            model.forward(&[3; 16], &mut cache);
            cache.truncate((i + 1) * 13);
            assert_eq!(cache.len(), (i + 1) * 13);
            bytes.push(cache.bytes());
        }
        let full = model
            .config
            .layers
            .iter()
            .filter(|l| **l == Attention::Full)
            .count();
        assert!(full > 0 && full < model.config.layers.len());
        assert!(
            bytes[29] <= model.kv_shape().most_bytes(390, 29),
            "{bytes:?}"
        );
        let everything = model.kv_shape().most_bytes(390, 390);
        assert!(bytes[29] < everything, "{bytes:?} {everything}");
        let frozen = cache.freeze();
        let usable: Vec<usize> = (0..=400).map(|len| frozen.usable(len)).collect();
        assert_eq!(usable[400], 390);
        assert_eq!(
            usable[390 - window],
            390 - window,
            "what was written last can be taken back"
        );
        assert_eq!(usable[200], 0, "its window was dropped");
        for (len, usable) in usable.into_iter().enumerate() {
            assert!(usable <= len);
            let mut resumed = KvCache::resume(&model, &frozen, len);
            assert_eq!(resumed.len(), usable);
            if len > 380 {
                let rest = bits(&model, &tokens[usable..], &mut resumed);
                assert_eq!(rest, whole[usable * vocabulary..], "from {usable}");
            }
        }
    }
}

#[test]
fn sequences_that_share_a_pass_get_the_bits_that_they_get_alone() {
    for weights in [Weights::F32, Weights::Bf16, Weights::Q8] {
        let files = ModelFiles::open(&testdata(CHECKPOINTS[0])).unwrap();
        let model = Model::load(&files, &LoadOptions { weights, ..EXACT }).unwrap();
        let vocabulary = model.config.vocab_size as u32;
        let sequence =
            |n: u32| -> Vec<u32> { (0..70).map(|i| (i * i + n * i + n) % vocabulary).collect() };
        let sequences: Vec<Vec<u32>> = (0..5).map(sequence).collect();
        let alone = sequences
            .iter()
            .map(|tokens| bits(&model, tokens, &mut KvCache::new(&model)));
        let alone: Vec<Vec<u32>> = alone.collect();
        let mut caches: Vec<KvCache> = sequences.iter().map(|_| KvCache::new(&model)).collect();
        let mut together = vec![Vec::new(); sequences.len()];
        // Each at its own pace: 1, 2, 3, … tokens at a time, until all are through.
        while together
            .iter()
            .any(|bits| bits.len() < 70 * vocabulary as usize)
        {
            let mut spans: Vec<Span<'_>> = (sequences.iter().zip(&mut caches).enumerate())
                .map(|(i, (tokens, cache))| {
                    let from = cache.len();
                    let tokens = &tokens[from..(from + i + 1).min(70)];
                    Span { tokens, cache }
                })
                .collect();
            let logits = model.logits(&model.forward_batch(&mut spans));
            let mut logits = logits.iter().map(|v| v.to_bits());
            for (span, together) in spans.iter().zip(&mut together) {
                together.extend(
                    logits
                        .by_ref()
                        .take(span.tokens.len() * vocabulary as usize),
                );
            }
        }
        assert!(together == alone);
        let nothing = model.forward(&[], &mut KvCache::new(&model));
        assert!(model.logits(&nothing).is_empty());
    }
}

#[test]
fn logits_of_chosen_tokens_are_those_of_the_whole_head() {
    let mut models: Vec<Model> = CHECKPOINTS.map(load).into();
    models.push(embedded::model().unwrap());
    let mut capped = load(CHECKPOINTS[0]);
    capped.config.logit_softcap = Some(0.5);
    models.push(capped);
    for model in models {
        let mut cache = KvCache::new(&model);
        let hidden = model.forward(&[1, 2, 3], &mut cache);
        let all = model.logits(&hidden);
        let chosen: Vec<u32> = (0..model.config.vocab_size as u32)
            .rev()
            .step_by(3)
            .collect();
        let some = model.logits_of(&chosen, &hidden);
        let expected = (all.chunks_exact(model.config.vocab_size))
            .flat_map(|all| chosen.iter().map(|id| all[*id as usize].to_bits()));
        assert!(
            some.iter().map(|v| v.to_bits()).eq(expected),
            "{}",
            model.name
        );
    }
}

#[test]
fn greedy_answers_of_the_default_model_are_those_of_transformers() {
    let model = Model::load(&embedded::files(), &EXACT).unwrap();
    let lines = fs::read_to_string(testdata("greedy.jsonl")).unwrap();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let ids = |key: &str| -> Vec<u32> { serde_json::from_value(line[key].clone()).unwrap() };
        let prompt = line["prompt"].as_str().unwrap();
        let tokens = model
            .tokenizer
            .encode(&model.tokenizer.pieces(prompt))
            .unwrap();
        assert_eq!(tokens, ids("prompt_ids"), "tokenisation of {prompt}");
        let mut cache = KvCache::new(&model);
        let mut next = tokens;
        let mut answer = Vec::new();
        while answer.len() < ids("answer_ids").len() {
            let hidden = model.forward(&next, &mut cache);
            let logits = model.logits(&hidden[hidden.len() - model.config.hidden_size..]);
            let best = (0..logits.len())
                .max_by(|a, b| logits[*a].total_cmp(&logits[*b]))
                .unwrap() as u32;
            answer.push(best);
            next = vec![best];
        }
        assert_eq!(answer, ids("answer_ids"), "answer to {prompt}");
    }
}
