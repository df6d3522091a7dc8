//! `LoRA` adapters against peft's logits, merged and held beside the weights. `scripts/make_reference_adapters.py` made the
//! references.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{fs, path::PathBuf};

use rust_inference::{
    kernels::Weights,
    model::{KvCache, LoadOptions, Model, ModelFiles, Span},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};

const ADAPTERS: [&str; 2] = ["plain", "patterned"];
const TOLERANCE: f32 = 1e-4;

fn testdata(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("testdata").join(name)
}

fn adapter(name: &str) -> PathBuf {
    testdata("adapters").join(name)
}

fn load(lora: Option<PathBuf>, weights: Weights) -> Model {
    let mut files = ModelFiles::open(&testdata("several-kv-heads")).unwrap();
    files.lora = lora;
    let mut model = Model::load(
        &files,
        &LoadOptions {
            weights,
            threads: 2,
            ..LoadOptions::default()
        },
    )
    .unwrap();
    for name in ADAPTERS {
        model.add_adapter(name, &adapter(name)).unwrap();
    }
    model
}

/// The reference's tokens, and peft's logits.
fn reference(name: &str) -> (Vec<u32>, Vec<f32>) {
    let bytes = fs::read(testdata("adapters").join("reference")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let words = |name: &str| {
        file.tensor(name)
            .unwrap()
            .data()
            .as_chunks::<4>()
            .0
            .to_vec()
    };
    (
        words("tokens")
            .into_iter()
            .map(u32::from_le_bytes)
            .collect(),
        words(name).into_iter().map(f32::from_le_bytes).collect(),
    )
}

fn begin(model: &Model, name: Option<&str>) -> KvCache {
    let adapter = name.map(|name| model.adapter(name).unwrap().clone());
    KvCache::new(model).with_adapter(adapter)
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn adapters_held_beside_the_weights_give_pefts_logits() {
    let model = load(None, Weights::F32);
    for name in ADAPTERS {
        let (tokens, expected) = reference(name);
        for portion in [1, 7, tokens.len()] {
            let mut cache = begin(&model, Some(name));
            let logits: Vec<f32> = (tokens.chunks(portion))
                .flat_map(|tokens| model.logits(&model.forward(tokens, &mut cache)))
                .collect();
            let difference = difference(&logits, &expected);
            assert!(difference < TOLERANCE, "{name} by {portion}: {difference}");
        }
        let bare = model.logits(&model.forward(&tokens, &mut begin(&model, None)));
        assert!(
            difference(&bare, &expected) > 0.1,
            "the adapter changes something"
        );
    }
}

#[test]
fn an_adapter_merged_into_the_weights_gives_pefts_logits() {
    for name in ADAPTERS {
        let model = load(Some(adapter(name)), Weights::F32);
        let (tokens, expected) = reference(name);
        let logits = model.logits(&model.forward(&tokens, &mut begin(&model, None)));
        let difference = difference(&logits, &expected);
        assert!(difference < TOLERANCE, "{name}: {difference}");
    }
}

#[test]
fn sequences_with_different_adapters_share_a_pass_and_get_the_bits_that_they_get_alone() {
    for weights in [Weights::F32, Weights::Bf16] {
        let model = load(None, weights);
        let tokens = reference(ADAPTERS[0]).0;
        let names = [None, Some("plain"), Some("patterned"), Some("plain")];
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let alone: Vec<_> = (names.iter().enumerate())
            .flat_map(|(i, name)| {
                bits(&model.forward(&tokens[i..20 + 3 * i], &mut begin(&model, *name)))
            })
            .collect();
        let mut caches = names.map(|name| begin(&model, name));
        let mut spans: Vec<_> = (caches.iter_mut().enumerate())
            .map(|(i, cache)| Span {
                tokens: &tokens[i..20 + 3 * i],
                cache,
            })
            .collect();
        assert_eq!(bits(&model.forward_batch(&mut spans)), alone);
    }
}

#[test]
fn a_sequence_that_begins_like_another_goes_on_with_its_adapter() {
    let model = load(None, Weights::F32);
    let (tokens, expected) = reference("plain");
    let mut cache = begin(&model, Some("plain"));
    model.forward(&tokens[..30], &mut cache);
    let frozen = cache.freeze();
    assert!(frozen.is_of(model.adapter("plain")) && !frozen.is_of(model.adapter("patterned")));
    assert!(!frozen.is_of(None));
    let mut resumed = KvCache::resume(&model, &frozen, 30);
    let from = resumed.len();
    let logits = model.logits(&model.forward(&tokens[from..], &mut resumed));
    assert!(difference(&logits, &expected[from * model.config.vocab_size..]) < TOLERANCE);
}

/// The error of an adapter whose configuration was changed.
fn error_with(change: &Value) -> String {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read(adapter("plain").join("adapter_config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    let change = change.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(change);
    fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
    let weights = "adapter_model.safetensors";
    fs::copy(adapter("plain").join(weights), dir.path().join(weights)).unwrap();
    let mut model = load(None, Weights::F32);
    let error = model.add_adapter("changed", dir.path()).unwrap_err();
    error.to_string()
}

#[test]
fn what_would_be_computed_wrongly_is_refused_by_name() {
    for (change, expected) in [
        (json!({"use_dora": true}), "use_dora"),
        (json!({"modules_to_save": ["lm_head"]}), "modules_to_save"),
        (json!({"bias": "all"}), "bias all"),
        (json!({"peft_type": "IA3"}), "peft_type IA3"),
        (json!({"r": 0}), "r 0"),
        (json!({"lora_alpha": "much"}), "adapter_config.json"),
        (json!({"alpha_pattern": {"(": 1}}), "pattern"),
    ] {
        let error = error_with(&change);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_adapter_for_another_model_a_second_of_one_name_and_none_at_all_are_refused() {
    let files = ModelFiles::open(&testdata("one-kv-head")).unwrap();
    let options = LoadOptions {
        weights: Weights::F32,
        threads: 1,
        ..LoadOptions::default()
    };
    let mut other = Model::load(&files, &options).unwrap();
    let error = other
        .add_adapter("plain", &adapter("plain"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("model.layers."), "{error}");
    let mut model = load(None, Weights::F32);
    let error = model
        .add_adapter("plain", &adapter("plain"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("two adapters of the name plain"), "{error}");
    let error = model
        .add_adapter("none", &testdata("one-kv-head"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("adapter_config.json"), "{error}");
}
