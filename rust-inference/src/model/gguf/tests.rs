use proptest::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

use super::*;
use crate::{
    kernels::Weights,
    model::{Bytes, KvCache, LoadOptions, Model, ModelFiles},
};

const HIDDEN: usize = 64;
const HEAD: usize = 32;

/// A metadata entry: type and bytes.
fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key), kind.to_le_bytes().as_slice(), value].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn list(kind: u32, items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<_> = items.collect();
    let count = items.len() as u64;
    [
        kind.to_le_bytes().as_slice(),
        &count.to_le_bytes(),
        &items.concat(),
    ]
    .concat()
}

fn natural(key: &str, value: u32) -> Vec<u8> {
    entry(key, 4, &value.to_le_bytes())
}

/// A token's text, score and type.
fn vocabulary() -> Vec<(String, f32, i32)> {
    let mut tokens = vec![
        ("<pad>".into(), 0.0, 3),
        ("<eos>".into(), 0.0, 3),
        ("<bos>".into(), 0.0, 3),
        ("<unk>".into(), 0.0, 2),
        ("<end_of_turn>".into(), 0.0, 3),
    ];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    let pieces = ["a", "b", "c", "▁", "bc", "ab", "abc", "▁a", "\n"];
    tokens
        .extend((pieces.iter().zip(1..)).map(|(piece, rank)| ((*piece).into(), -(rank as f32), 1)));
    tokens
}

fn metadata() -> Vec<Vec<u8>> {
    let words = vocabulary();
    vec![
        entry("general.architecture", 8, &text("gemma3")),
        natural("gemma3.context_length", 256),
        natural("gemma3.embedding_length", HIDDEN as u32),
        natural("gemma3.block_count", 2),
        natural("gemma3.feed_forward_length", 96),
        natural("gemma3.attention.head_count", 2),
        natural("gemma3.attention.head_count_kv", 1),
        natural("gemma3.attention.key_length", HEAD as u32),
        natural("gemma3.attention.sliding_window", 4),
        natural("gemma3.attention.sliding_window_pattern", 2),
        entry(
            "gemma3.attention.layer_norm_rms_epsilon",
            6,
            &1e-6f32.to_le_bytes(),
        ),
        entry("gemma3.rope.scaling.type", 8, &text("linear")),
        entry("gemma3.rope.scaling.factor", 6, &8f32.to_le_bytes()),
        entry("tokenizer.ggml.model", 8, &text("llama")),
        entry(
            "tokenizer.ggml.tokens",
            9,
            &list(8, words.iter().map(|word| text(&word.0))),
        ),
        entry(
            "tokenizer.ggml.scores",
            9,
            &list(6, words.iter().map(|word| word.1.to_le_bytes().into())),
        ),
        entry(
            "tokenizer.ggml.token_type",
            9,
            &list(5, words.iter().map(|word| word.2.to_le_bytes().into())),
        ),
        natural("tokenizer.ggml.eos_token_id", 1),
    ]
}

/// Names as in a Hugging Face checkpoint, and shapes.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut shapes = vec![
        (
            "model.embed_tokens.weight".to_owned(),
            vec![vocabulary().len(), HIDDEN],
        ),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..2 {
        for (part, shape) in [
            ("self_attn.q_proj", vec![2 * HEAD, HIDDEN]),
            ("self_attn.k_proj", vec![HEAD, HIDDEN]),
            ("self_attn.v_proj", vec![HEAD, HIDDEN]),
            ("self_attn.o_proj", vec![HIDDEN, 2 * HEAD]),
            ("self_attn.q_norm", vec![HEAD]),
            ("self_attn.k_norm", vec![HEAD]),
            ("mlp.gate_proj", vec![96, HIDDEN]),
            ("mlp.up_proj", vec![96, HIDDEN]),
            ("mlp.down_proj", vec![HIDDEN, 96]),
            ("input_layernorm", vec![HIDDEN]),
            ("post_attention_layernorm", vec![HIDDEN]),
            ("pre_feedforward_layernorm", vec![HIDDEN]),
            ("post_feedforward_layernorm", vec![HIDDEN]),
        ] {
            shapes.push((format!("model.layers.{layer}.{part}.weight"), shape));
        }
    }
    shapes
}

/// Bytes of a tensor of a type: any whole numbers, small scales.
fn random(kind: Kind, shape: &[usize], seed: usize) -> Vec<u8> {
    let mut state = seed as u32 * 2_654_435_761 + 12345;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut real = |kind: Kind| {
        let value = f32::from(byte().cast_signed()) / 512.0;
        match kind {
            Kind::F32 => value.to_le_bytes().to_vec(),
            Kind::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
            _ => half::f16::from_f32(value).to_le_bytes().to_vec(),
        }
    };
    let count: usize = shape.iter().product();
    match kind {
        Kind::F32 | Kind::F16 | Kind::Bf16 => (0..count).flat_map(|_| real(kind)).collect(),
        Kind::Q8_0 | Kind::Q4_0 => {
            let len = if kind == Kind::Q8_0 { 32 } else { 16 };
            let scale = half::f16::from_f32(if kind == Kind::Q8_0 { 0.002 } else { 0.03 });
            let mut block = || {
                [
                    &scale.to_le_bytes()[..],
                    &(0..len).map(|_| byte()).collect::<Vec<_>>(),
                ]
                .concat()
            };
            (0..count / 32).flat_map(|_| block()).collect()
        }
    }
}

/// A GGUF whose matrices are of the type.
fn file(kind: Kind, number: u32, metadata: &[Vec<u8>]) -> Vec<u8> {
    let (mut infos, mut data) = (Vec::new(), Vec::new());
    for (seed, (name, shape)) in shapes().into_iter().enumerate() {
        let (kind, number) = if shape.len() == 1 {
            (Kind::F32, 0)
        } else {
            (kind, number)
        };
        infos.extend(text(&names::of(&name).unwrap()));
        infos.extend((shape.len() as u32).to_le_bytes());
        infos.extend(
            shape
                .iter()
                .rev()
                .flat_map(|size| (*size as u64).to_le_bytes()),
        );
        infos.extend(number.to_le_bytes());
        infos.extend((data.len() as u64).to_le_bytes());
        data.extend(random(kind, &shape, seed));
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
    }
    let counts = [shapes().len() as u64, metadata.len() as u64]
        .map(u64::to_le_bytes)
        .concat();
    let mut bytes = [
        MAGIC,
        &3u32.to_le_bytes(),
        &counts,
        &metadata.concat(),
        &infos,
    ]
    .concat();
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    [bytes, data].concat()
}

fn files(gguf: &[u8]) -> ModelFiles {
    let opened = Gguf::open(gguf).unwrap();
    let (config, generation) = opened.config().unwrap();
    ModelFiles {
        name: "test".into(),
        config: Bytes::Owned(config),
        generation_config: Some(Bytes::Owned(generation)),
        tokenizer: None,
        weights: vec![("model.gguf".into(), Bytes::Owned(gguf.into()))],
        sources: None,
        lora: None,
    }
}

fn logits(files: &ModelFiles) -> Vec<f32> {
    let options = LoadOptions {
        weights: Weights::F32,
        threads: 1,
        ..LoadOptions::default()
    };
    let model = Model::load(files, &options).unwrap();
    let mut cache = KvCache::new(&model);
    model.logits(&model.forward(&[2, 7, 70, 265, 261, 8, 9, 3], &mut cache))
}

/// The numbers that a file of each type holds, written down in f32 by safetensors, give the same logits.
#[test]
fn a_gguf_of_any_type_gives_the_logits_of_its_numbers() {
    for (kind, number) in [
        (Kind::F32, 0),
        (Kind::F16, 1),
        (Kind::Q4_0, 2),
        (Kind::Q8_0, 8),
        (Kind::Bf16, 30),
    ] {
        let gguf = file(kind, number, &metadata());
        let mut other = files(&gguf);
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = (shapes().into_iter().enumerate())
            .map(|(seed, (name, shape))| {
                let kind = if shape.len() == 1 { Kind::F32 } else { kind };
                let bytes = random(kind, &shape, seed);
                let minus = if shape.len() == 1 { 1.0 } else { 0.0 };
                let tensor = Tensor {
                    shape: shape.clone(),
                    kind,
                    bytes: &bytes,
                    minus,
                };
                let values = tensor.values().into_f32();
                (
                    name,
                    shape,
                    values.into_iter().flat_map(f32::to_le_bytes).collect(),
                )
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (
                name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        });
        let safetensors = safetensors::serialize(views, None).unwrap();
        other.tokenizer = Some(Bytes::Owned(other.tokenizer().unwrap().into_owned()));
        other.weights = vec![("model.safetensors".into(), Bytes::Owned(safetensors))];
        let (found, expected) = (logits(&files(&gguf)), logits(&other));
        assert!(expected.iter().any(|logit| logit.abs() > 0.1), "{kind:?}");
        let bits = |logits: &[f32]| {
            logits
                .iter()
                .map(|logit| logit.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&found), bits(&expected), "{kind:?}");
    }
}

#[test]
fn the_configuration_is_that_of_the_metadata() {
    let parse = |metadata: &[Vec<u8>]| -> serde_json::Value {
        let bytes = file(Kind::F32, 0, metadata);
        serde_json::from_slice(&Gguf::open(&bytes).unwrap().config().unwrap().0).unwrap()
    };
    let config = parse(&metadata());
    for (key, expected) in [
        ("vocab_size", json!(270)),
        ("num_key_value_heads", json!(1)),
        ("query_pre_attn_scalar", json!(32)),
        (
            "layer_types",
            json!(["sliding_attention", "full_attention"]),
        ),
        (
            "rope_scaling",
            json!({"rope_type": "linear", "factor": 8.0}),
        ),
        ("rope_local_base_freq", json!(10000.0)),
        ("tie_word_embeddings", json!(true)),
    ] {
        assert_eq!(config[key], expected, "{key}");
    }
    // llama.cpp's own default is every sixth.
    let mut plain = metadata();
    plain.remove(9);
    plain[3] = natural("gemma3.block_count", 7);
    let types = parse(&plain)["layer_types"].clone();
    let full: Vec<_> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind == "full_attention")
        .collect();
    assert_eq!(full, [false, false, false, false, false, true, false]);
    let bytes = file(Kind::F32, 0, &metadata());
    let generation = Gguf::open(&bytes).unwrap().config().unwrap().1;
    assert_eq!(generation, br#"{"eos_token_id":[1,4]}"#);
}

/// Of the metadata.
type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let error = |change: Change<'_>, number: u32| {
        let mut metadata = metadata();
        change(&mut metadata);
        let bytes = file(Kind::Q8_0, number, &metadata);
        let read = || {
            let opened = Gguf::open(&bytes)?;
            opened.config()?;
            opened.tokenizer()?;
            opened.tensor("model.embed_tokens.weight").map(|_| ())
        };
        read().unwrap_err()
    };
    let cases: [(Change<'_>, u32, &str); 9] = [
        (
            &|_| {},
            14,
            "token_embd.weight is of type Q6_K; this engine reads F32",
        ),
        (
            &|all| all[0] = entry("general.architecture", 8, &text("llama")),
            8,
            "architecture llama",
        ),
        (
            &|all| drop(all.remove(3)),
            8,
            "gemma3.block_count is missing",
        ),
        (
            &|all| all.push(natural("split.count", 2)),
            8,
            "one of 2 parts",
        ),
        (
            &|all| all[13] = entry("tokenizer.ggml.model", 8, &text("bert")),
            8,
            "tokenizer.ggml.merges",
        ),
        (&|all| drop(all.remove(15)), 8, "tokenizer.ggml.scores"),
        (
            &|all| all.push(entry("tokenizer.ggml.add_space_prefix", 7, &[1])),
            8,
            "space before",
        ),
        (
            &|all| all.push(natural("general.alignment", 24)),
            8,
            "general.alignment",
        ),
        (&|all| all.push(all[1].clone()), 8, "twice"),
    ];
    for (change, number, expected) in cases {
        let message = error(change, number);
        assert!(message.contains(expected), "{message}");
    }
}

/// Everything that is ever done with a file.
fn read_all(bytes: &[u8]) -> Result<(), Wrong> {
    let opened = Gguf::open(bytes)?;
    opened.config()?;
    opened.tokenizer()?;
    for (name, _) in shapes() {
        if let Some(tensor) = opened.tensor(&name)? {
            tensor.values();
        }
    }
    Ok(())
}

#[test]
fn a_header_that_claims_more_than_the_file_has_is_refused_before_anything_is_made() {
    let good = file(Kind::Q8_0, 8, &metadata());
    assert_eq!(read_all(&good), Ok(()));
    for (at, what) in [(8, "tensors"), (16, "metadata keys")] {
        for lie in [u64::MAX, 1 << 60, 1 << 40, good.len() as u64] {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let error = read_all(&bytes).unwrap_err();
            assert!(error.contains(&format!("claims {lie} {what}")), "{error}");
        }
    }
    // The number of tokens.
    let tokens = good
        .windows(21)
        .position(|window| window == b"tokenizer.ggml.tokens")
        .unwrap()
        + 21
        + 8;
    let mut bytes = good.clone();
    bytes[tokens..tokens + 8].copy_from_slice(&(1u64 << 33).to_le_bytes());
    assert!(read_all(&bytes).unwrap_err().contains("entries of a list"));
    // A dimension, so that the size no longer fits into any number.
    let shape = good
        .windows(17)
        .position(|window| window == b"token_embd.weight")
        .unwrap()
        + 17
        + 4;
    let mut bytes = good;
    bytes[shape + 8..shape + 16].copy_from_slice(&(1u64 << 62).to_le_bytes());
    assert!(read_all(&bytes).unwrap_err().contains("token_embd.weight"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let good = file(Kind::Q4_0, 2, &metadata());
    for len in (0..good.len()).step_by(97) {
        assert!(Gguf::open(&good[..len]).is_err(), "cut at {len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is changed, it is an answer or an error, never a panic.
    #[test]
    fn no_change_of_a_file_makes_it_panic(changes in prop::collection::vec((0usize..9000, any::<u8>()), 1..6), cut in 0usize..1_000_000) {
        let mut bytes = file(Kind::Q8_0, 8, &metadata());
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        let _ = read_all(&bytes);
    }
}
