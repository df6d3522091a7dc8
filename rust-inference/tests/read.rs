//! Texts that the model only reads, against what transformers gives of them on random checkpoints; and that nothing of it
//! depends on what is read beside. The references were made by `scripts/make_reference_logits.py`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{fs, path::PathBuf, sync::Arc};

use rust_inference::{
    embedded,
    kernels::Weights,
    model::{LoadOptions, Model, ModelFiles},
    scheduler::{Capacity, Found, Logprob, Reading, Scheduler, Stats, Wanted},
};
use safetensors::SafeTensors;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const CHECKPOINTS: [&str; 2] = ["one-kv-head", "several-kv-heads"];
const TOLERANCE: f32 = 1e-4;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(name)
}

fn load(checkpoint: &str) -> Model {
    let files = ModelFiles::open(&testdata(checkpoint)).unwrap();
    let exact = LoadOptions {
        weights: Weights::F32,
        threads: 2,
        packed_cache: false,
    };
    Model::load(&files, &exact).unwrap()
}

fn scheduler(model: Model) -> Scheduler {
    let capacity = Capacity {
        parallel: 4,
        queue: 4,
        kv_bytes: 64 << 20,
        prefix_bytes: 0,
    };
    Scheduler::start(Arc::new(model), capacity).unwrap()
}

/// What the reference of a checkpoint says by this name.
fn reference(checkpoint: &str, name: &str) -> Vec<[u8; 4]> {
    let bytes = fs::read(testdata(&format!("{checkpoint}.reference"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    tensor.data().as_chunks::<4>().0.to_vec()
}

fn floats(checkpoint: &str, name: &str) -> Vec<f32> {
    let words = reference(checkpoint, name);
    words.into_iter().map(f32::from_le_bytes).collect()
}

fn read(scheduler: &Scheduler, texts: &[&[u32]], wanted: Wanted) -> (Vec<Found>, Stats) {
    let (answer, found) = oneshot::channel();
    let reading = Reading {
        texts: texts.iter().map(|text| text.to_vec()).collect(),
        wanted,
        cancelled: CancellationToken::new(),
        answer,
    };
    let _place = scheduler.read(reading).unwrap();
    found.blocking_recv().unwrap()
}

fn logprobs(found: &Found) -> &[Logprob] {
    match found {
        Found::Logprobs(found) => found,
        Found::Mean(_) => panic!("{found:?}"),
    }
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn the_mean_is_that_of_transformers_last_hidden_states() {
    for name in CHECKPOINTS {
        let scheduler = scheduler(load(name));
        let tokens: Vec<u32> = (reference(name, "tokens").into_iter())
            .map(u32::from_le_bytes)
            .collect();
        let (found, stats) = read(&scheduler, &[&tokens], Wanted::Mean);
        let [Found::Mean(mean)] = &found[..] else {
            panic!("{found:?}");
        };
        let difference = largest_difference(mean, &floats(name, "mean"));
        assert!(difference < TOLERANCE, "{name}: {difference}");
        assert_eq!(stats.head_rows, 0);
    }
}

#[test]
fn log_probabilities_are_those_of_torchs_log_softmax() {
    for name in CHECKPOINTS {
        let scheduler = scheduler(load(name));
        let tokens: Vec<u32> = (reference(name, "tokens").into_iter())
            .map(u32::from_le_bytes)
            .collect();
        let theirs = floats(name, "logprobs");
        for behind in [1, 2, 17, tokens.len() - 1] {
            let wanted = Wanted::Logprobs { behind, top: 3 };
            let (found, stats) = read(&scheduler, &[&tokens], wanted);
            let found = logprobs(&found[0]);
            let ours: Vec<f32> = found.iter().map(|found| found.logprob).collect();
            let difference = largest_difference(&ours, &theirs[behind - 1..]);
            assert!(
                difference < TOLERANCE,
                "{name} behind {behind}: {difference}"
            );
            assert!(found.iter().all(|found| found.top.len() == 3));
            // A row of the head for each token that was asked for, and no others.
            assert_eq!(stats.head_rows, (tokens.len() - behind) as u64 * 96);
        }
    }
}

#[test]
fn nothing_depends_on_what_is_read_beside() {
    let model = embedded::model().unwrap();
    let text: Vec<u32> = (0..700u32).map(|i| i * 7 % 5000).collect();
    let scheduler = scheduler(model);
    // Shorter and longer than a pass, so that some share one and some take several.
    let texts = [
        &text[..1],
        &text[..127],
        &text[5..135],
        &text[..],
        &text[9..12],
        &text[1..500],
    ];
    let (together, stats) = read(&scheduler, &texts, Wanted::Mean);
    let tokens: usize = texts.iter().map(|text| text.len()).sum();
    assert_eq!(stats.forward_passes, tokens.div_ceil(128));
    let alone = |wanted| texts[1..].iter().map(move |text| (*text, wanted));
    for ((text, wanted), found) in alone(Wanted::Mean).zip(&together[1..]) {
        assert_eq!(
            read(&scheduler, &[text], wanted).0,
            std::slice::from_ref(found)
        );
    }
    let wanted = Wanted::Logprobs { behind: 2, top: 2 };
    let (together, _) = read(&scheduler, &texts[1..], wanted);
    for ((text, wanted), found) in alone(wanted).zip(&together) {
        assert_eq!(logprobs(found).len(), text.len() - 2);
        assert_eq!(
            read(&scheduler, &[text], wanted).0,
            std::slice::from_ref(found)
        );
    }
}
