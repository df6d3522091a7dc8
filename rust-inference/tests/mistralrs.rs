//! mistral.rs as a backend, on a tiny Gemma 3 of random weights: it computes what our engine computes, and what it could
//! write freely it cannot: calls and JSON are as valid as from our own. Built with the feature `mistralrs` only.
#![cfg(feature = "mistralrs")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;
#[path = "common/random_model.rs"]
mod random_model;

use std::{fs, path::Path, thread};

use common::{Server, chat, convert_units, program};
use serde_json::{Value, json};

/// The random model, as mistral.rs wants to be told which of its two layers sees everything.
fn checkpoint(dir: &Path) {
    fs::create_dir(dir).unwrap();
    for file in [
        "generation_config.json",
        "tokenizer.json",
        "model.safetensors",
    ] {
        fs::copy(random_model::directory().join(file), dir.join(file)).unwrap();
    }
    let config = fs::read(random_model::directory().join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config["sliding_window_pattern"] = 2.into();
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
}

/// A server with the same weights twice: mistral.rs' and, for comparison, ours in f32.
fn server() -> Server {
    let made = common::room();
    let dir = made.path().join("model");
    checkpoint(&dir);
    let dir = dir.display();
    let [theirs, ours] = [format!("theirs=mistralrs:{dir}"), format!("ours={dir}")];
    let flags = [
        "--model",
        &theirs,
        "--model",
        &ours,
        "--weights",
        "f32",
        "--no-packed-cache",
    ];
    let server = Server::start(&flags);
    assert_eq!(server.detail("backend"), "mistralrs");
    // It is read when it is first asked for.
    let loaded = server.ask(&json!({"id": 1, "models": {"load": "ours"}}));
    assert_eq!(
        loaded["model_list"]["models"][1]["state"], "loaded",
        "{loaded}"
    );
    server
}

fn told(server: &Server, model: &str, asked: &Value) -> Value {
    let mut asked = asked.clone();
    asked["model"] = model.into();
    let answer = server.generate(&asked);
    assert_eq!(answer["done"]["model"], model, "{answer}");
    assert_eq!(answer["done"]["guarantee"], "constrained", "{answer}");
    answer["done"].clone()
}

#[test]
fn it_computes_what_our_own_engine_computes() {
    let server = server();
    let asked =
        json!({"chat": chat("What is the weather in Rome?"), "max_tokens": 12, "logprobs": 2});
    let [theirs, ours] = ["theirs", "ours"].map(|model| told(&server, model, &asked));
    let [theirs, ours] = [&theirs, &ours].map(|done| done["logprobs"].as_array().unwrap().clone());
    assert_eq!(ours.len(), 12);
    assert_eq!(theirs.len(), 12);
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs["id"], ours["id"]);
        let [theirs, ours] = [theirs, ours].map(|one| one["logprob"].as_f64().unwrap());
        assert!((theirs - ours).abs() < 1e-3, "{theirs} {ours}");
    }
}

#[test]
fn whatever_is_drawn_calls_and_json_are_valid() {
    let server = server();
    let tool = convert_units();
    let parameters = jsonschema::validator_for(&tool["parameters"]).unwrap();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 99_999}}, "required": ["n"]});
    let format = json!({"type": "json_schema", "schema": schema.to_string()});
    let schema = jsonschema::validator_for(&schema).unwrap();
    for seed in 0..4 {
        let sampling = json!({"temperature": 2.0, "seed": seed});
        let call = json!({"chat": chat("Convert 12 km"), "tools": [tool], "tool_choice": "required", "max_calls": 1,
            "sampling": sampling, "max_tokens": 60});
        let done = told(&server, "theirs", &call);
        assert_eq!(done["finish_reason"], "tool_calls", "{done}");
        let arguments = done["tool_calls"][0]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        assert!(parameters.is_valid(&arguments), "{arguments}");
        let asked = json!({"chat": chat("A number?"), "response_format": format, "sampling": sampling, "max_tokens": 40});
        let done = told(&server, "theirs", &asked);
        let value: Value = serde_json::from_str(done["content"].as_str().unwrap()).unwrap();
        assert!(schema.is_valid(&value), "{value}");
    }
}

#[test]
fn who_asks_beside_others_gets_what_it_gets_alone() {
    let server = server();
    let asked = |index: usize| json!({"chat": chat(&format!("Question {index}?")), "max_tokens": 10, "model": "theirs", "logprobs": 0});
    let ids = |answer: &Value| -> Vec<u64> {
        let all = answer["done"]["logprobs"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        all.iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    let alone: Vec<_> = (0..6)
        .map(|index| ids(&server.generate(&asked(index))))
        .collect();
    thread::scope(|scope| {
        let askers: Vec<_> = (0..6)
            .map(|index| {
                (
                    index,
                    scope.spawn({
                        let server = &server;
                        move || server.generate(&asked(index))
                    }),
                )
            })
            .collect();
        for (index, asker) in askers {
            assert_eq!(
                ids(&asker.join().unwrap()),
                alone[index],
                "question {index}"
            );
        }
    });
}

#[test]
fn one_that_is_cancelled_ends_and_what_is_not_to_be_had_is_refused_by_name() {
    let server = server();
    let mut wire = server.connect();
    let endless = json!({"prompt": "<bos>word", "max_tokens": 1000, "stream": true, "sampling": {"temperature": 1.0}});
    wire.send(&json!({"id": 3, "generate": endless}));
    assert!(wire.next().unwrap().get("delta").is_some());
    wire.send(&json!({"id": 3, "cancel": {}}));
    let end = wire.answer(3).pop().unwrap();
    assert_eq!(end["error"]["code"], "CANCELLED", "{end}");
    server.until("running", "0");
    for (asked, code, told) in [
        (json!({"embed": {"input": ["x"]}}), "UNIMPLEMENTED", "embed"),
        (
            json!({"score": {"prompt": "x", "completion": "y"}}),
            "UNIMPLEMENTED",
            "score",
        ),
        (
            json!({"generate": {"prompt": "x", "adapter": "a"}}),
            "NOT_FOUND",
            "adapter",
        ),
        (
            json!({"generate": {"prompt": "x", "without": ["forced"]}}),
            "INVALID_ARGUMENT",
            "without",
        ),
    ] {
        let mut frame = asked.clone();
        frame["id"] = 5.into();
        let error = &wire.ask(&frame)["error"];
        assert_eq!(error["code"], code, "{asked}");
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_says_why() {
    let room = common::room();
    let dir = room.path().join("model");
    fs::create_dir(&dir).unwrap();
    let refused = || {
        let run = program()
            .arg("--socket")
            .arg(room.path().join("s"))
            .args(["--backend", "mistralrs", "--model"])
            .arg(&dir)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8(run.stderr).unwrap()
    };
    assert!(refused().contains("config.json"));
    let other = json!({"vocab_size": 9, "max_position_embeddings": 64, "model_type": "gemma3_text",
        "layer_types": ["sliding_attention", "full_attention"]});
    fs::write(dir.join("config.json"), other.to_string()).unwrap();
    assert!(refused().contains("sliding_window_pattern"));
    fs::write(
        dir.join("config.json"),
        r#"{"vocab_size": 9, "max_position_embeddings": 64}"#,
    )
    .unwrap();
    assert!(refused().contains("tokenizer.json"));
    let tokenizer = json!({"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}});
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let said = refused();
    assert!(
        said.contains("does not know FunctionGemma's format"),
        "{said}"
    );
}
