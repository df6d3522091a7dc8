//! A GGUF is the same model as the checkpoint that it was made from. `bench/random_gguf.py` makes it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

#[path = "common/random_model.rs"]
mod random_model;

use std::{fs, sync::LazyLock};

use proptest::prelude::*;
use rust_inference::{
    kernels::Weights,
    model::{KvCache, LoadOptions, Model, ModelFiles, PackedCache},
    tokenizer::{Piece, Tokenizer},
};

static TOKENIZERS: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
    let files = ModelFiles::open(&random_model::directory().join("model-bf16.gguf")).unwrap();
    let of_gguf = Tokenizer::load(&files.tokenizer().unwrap(), random_model::VOCABULARY).unwrap();
    [random_model::tokenizer(), of_gguf]
});

/// The ids that both give.
fn ids(text: &str) -> [Vec<u32>; 2] {
    [0, 1].map(|which| TOKENIZERS[which].encode(&[Piece::Text(text)]).unwrap())
}

#[test]
fn a_gguf_gives_the_logits_of_its_safetensors() {
    let options = LoadOptions {
        weights: Weights::F32,
        threads: 2,
        ..LoadOptions::default()
    };
    let directory = random_model::directory();
    let [expected, found] = [directory.to_owned(), directory.join("model-bf16.gguf")].map(|path| {
        let model = Model::load(&ModelFiles::open(&path).unwrap(), &options).unwrap();
        let mut cache = KvCache::new(&model);
        let tokens: Vec<u32> = (0..150).map(|i| i * 1709 % 262_144).collect();
        let hidden = model.forward(&tokens, &mut cache);
        let mut ends = model.config.eos.clone();
        ends.sort_unstable();
        (
            model.logits(&hidden[149 * model.config.hidden_size..]),
            hidden,
            ends,
        )
    });
    assert!(expected.0.iter().any(|logit| logit.abs() > 1.0));
    for (a, b) in expected
        .0
        .iter()
        .zip(&found.0)
        .chain(expected.1.iter().zip(&found.1))
    {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    assert_eq!((found.2, expected.2), (vec![1, 50, 106], vec![1, 50, 106]));
}

/// What is read of a GGUF is made into files as Hugging Face has them, and of its vocabulary that takes long.
#[test]
fn a_second_start_of_a_gguf_makes_nothing_of_its_vocabulary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    fs::copy(random_model::directory().join("model-bf16.gguf"), &path).unwrap();
    let options = LoadOptions {
        threads: 2,
        packed_cache: true,
        ..LoadOptions::default()
    };
    let first = Model::load(&ModelFiles::open(&path).unwrap(), &options).unwrap();
    let mut files = ModelFiles::open(&path).unwrap();
    // Whatever asked for the tokenizer, or for anything else of the file, would not get it.
    files.weights.clear();
    assert!(files.tokenizer().is_err());
    let second = Model::load(&files, &options).unwrap();
    assert!(matches!(first.packed, PackedCache::Written(_)));
    assert!(matches!(second.packed, PackedCache::Used(_)));
    let [ids, again] = [&first, &second].map(|model| {
        let pieces = model
            .tokenizer
            .pieces("<bos>naïve 漢字\n\n  x<end_of_turn>");
        model.tokenizer.encode(&pieces).unwrap()
    });
    assert_eq!(ids, again);
    let [logits, same] = [&first, &second].map(|model| {
        let hidden = model.forward(&ids, &mut KvCache::new(model));
        model.logits(&hidden)
    });
    assert_eq!(logits, same);
}

#[test]
fn the_tokenizer_of_a_gguf_cuts_text_as_tokenizer_json_does() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut texts: Vec<String> = [
        "README.md",
        "ARCHITECTURE.md",
        "Cargo.lock",
        "ipc/src/lib.rs",
    ]
    .iter()
    .map(|file| fs::read_to_string(format!("{root}/{file}")).unwrap())
    .collect();
    texts.extend(
        [
            "",
            " ",
            "   three   spaces ",
            "\n\n\n\tx",
            "naïve café 漢字 🦀🦀",
            "<table></table><b>",
            "▁▁x",
            "<eos><unused3>",
        ]
        .map(Into::into),
    );
    texts.push(" ".repeat(70) + &"\n".repeat(70));
    for text in texts {
        let [expected, found] = ids(&text);
        assert_eq!(expected, found, "{text:.60}");
    }
    for control in [
        "<bos>",
        "<start_function_call>",
        "<escape>",
        "<end_of_turn>",
    ] {
        let [expected, found] = [0, 1].map(|which| TOKENIZERS[which].control(control));
        assert!(expected.is_some() && expected == found, "{control}");
    }
    for id in 0..random_model::VOCABULARY as u32 {
        assert_eq!(TOKENIZERS[0].bytes(id), TOKENIZERS[1].bytes(id), "{id}");
    }
}

proptest! {
    #[test]
    fn any_text_is_cut_alike(text in "\\PC{0,60}|[a-z \n<>é漢🦀]{0,80}|[ a-e]{0,80}") {
        let [expected, found] = ids(&text);
        prop_assert_eq!(expected, found);
    }
}
