//! Adapters that requests name: each request gets its own, whatever the others have.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{fs, path::Path};

use common::Server;
use rust_inference::embedded;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// A PEFT directory for the built-in model: small random numbers for the values of every layer.
fn adapter(dir: &Path, name: &str, mut state: u32) -> String {
    let config: Value = serde_json::from_slice(&embedded::files().config).unwrap();
    let size = |key: &str| config[key].as_u64().unwrap() as usize;
    let (hidden, values) = (
        size("hidden_size"),
        size("num_key_value_heads") * size("head_dim"),
    );
    let mut random = |count: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
        };
        (0..count).flat_map(|_| next().to_le_bytes()).collect()
    };
    let mut tensors = Vec::new();
    for layer in 0..size("num_hidden_layers") {
        let module = format!("base_model.model.model.layers.{layer}.self_attn.v_proj");
        tensors.push((
            format!("{module}.lora_A.weight"),
            vec![2, hidden],
            random(2 * hidden),
        ));
        tensors.push((
            format!("{module}.lora_B.weight"),
            vec![values, 2],
            random(2 * values),
        ));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    let path = dir.join(name);
    fs::create_dir(&path).unwrap();
    fs::write(
        path.join("adapter_model.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none"});
    fs::write(path.join("adapter_config.json"), config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The first words that are written with an adapter, and how probable they were; without any, if the name is empty.
fn answer(server: &Server, name: &str, without: &[&str]) -> (String, Value) {
    let chat = common::chat("What is the weather in Rome?");
    let done = server.generate(&json!({"chat": chat, "adapter": name, "max_tokens": 12, "logprobs": 0, "without": without}));
    let text = done["done"]["content"]
        .as_str()
        .unwrap_or_else(|| panic!("{done}"));
    (text.to_owned(), done["done"]["logprobs"].clone())
}

#[test]
fn each_request_gets_the_adapter_that_it_names_and_nothing_that_another_computed() {
    let room = tempfile::tempdir().unwrap();
    let named = [("one", 1), ("two", 2)]
        .map(|(name, seed)| format!("{name}={}", adapter(room.path(), name, seed)));
    let server = Server::start(&["--adapter", &named[0], "--adapter", &named[1]]);
    assert_eq!(server.detail("adapters"), "one, two");
    let names = ["", "one", "two"];
    let alone = names.map(|name| answer(&server, name, &["prefix"]));
    assert!(
        alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2],
        "{alone:?}"
    );
    // What the others computed of the same prompt lies in the prefix cache now, and in the second round its own.
    for _ in 0..2 {
        assert_eq!(names.map(|name| answer(&server, name, &[])), alone);
    }
}

#[test]
fn an_adapter_that_is_not_there_is_not_found_and_those_that_are_there_are_named() {
    let room = tempfile::tempdir().unwrap();
    let named = format!("one={}", adapter(room.path(), "one", 1));
    let server = Server::start(&["--adapter", &named]);
    let answer = server.generate(&json!({"prompt": "a", "adapter": "eno"}));
    assert_eq!(answer["error"]["code"], "NOT_FOUND", "{answer}");
    assert!(
        answer["error"]["hint"].as_str().unwrap().contains("one"),
        "{answer}"
    );
    let bare = Server::start(&[]);
    let answer = bare.generate(&json!({"prompt": "a", "adapter": "one"}));
    assert!(
        answer["error"]["hint"]
            .as_str()
            .unwrap()
            .contains("--adapter"),
        "{answer}"
    );
}

#[test]
fn a_merged_adapter_answers_as_one_that_is_named() {
    let room = tempfile::tempdir().unwrap();
    let dir = adapter(room.path(), "one", 1);
    let held = Server::start(&["--weights", "f32", "--adapter", &format!("one={dir}")]);
    let merged = Server::start(&["--weights", "f32", "--lora", &dir]);
    assert_eq!(answer(&held, "one", &[]).0, answer(&merged, "", &[]).0);
}
