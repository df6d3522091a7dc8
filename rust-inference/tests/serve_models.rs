//! Several models in one server: asked for by name, loaded when they are, unloaded, and loaded anew beside requests under way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;
#[path = "common/random_model.rs"]
mod random_model;

use std::{fs, path::Path, thread, time::Duration, time::Instant};

use common::{PATIENCE, Server, chat, program};
use serde_json::{Value, json};

/// A checkpoint of its own, which a test may change: the built-in model's files.
fn checkpoint(dir: &Path) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default");
    fs::create_dir_all(dir).unwrap();
    for file in [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "model.safetensors",
    ] {
        fs::copy(from.join(file), dir.join(file)).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

/// `--model` for the random model that all tests share. Nothing may be kept beside it, so it is served with
/// --no-packed-cache.
fn random() -> String {
    format!("random={}", random_model::directory().display())
}

/// What `models` tells, when it has done what was asked.
fn models(server: &Server, asked: &Value) -> Vec<Value> {
    let answer = server.ask(&json!({"id": 1, "models": asked}));
    let list = answer["model_list"]["models"].as_array();
    list.unwrap_or_else(|| panic!("{answer}")).clone()
}

fn state(server: &Server, name: &str) -> String {
    let all = models(server, &json!({}));
    let one = all.iter().find(|model| model["name"] == name).unwrap();
    one["state"].as_str().unwrap().to_owned()
}

/// Waits until a model is in a state.
fn until(server: &Server, name: &str, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    while state(server, name) != wanted {
        assert!(Instant::now() < deadline, "{name} is never {wanted}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Some words of a model, and how probable each was.
fn words(model: &str) -> Value {
    json!({"chat": chat("What is the weather in Rome?"), "model": model, "max_tokens": 8, "logprobs": 0})
}

fn logprobs(answer: &Value) -> &Value {
    let found = &answer["done"]["logprobs"];
    assert!(found.is_array(), "{answer}");
    found
}

#[test]
fn a_request_names_its_model_and_without_a_name_gets_the_first() {
    let random = random();
    let server = Server::start(&[
        "--model",
        "tiny=built-in",
        "--model",
        &random,
        "--no-packed-cache",
    ]);
    let all = models(&server, &json!({}));
    let told = |index: usize| {
        let model: &Value = &all[index];
        ["name", "backend", "state", "guarantee"].map(|key| model[key].as_str().unwrap().to_owned())
    };
    assert_eq!(told(0), ["tiny", "native", "loaded", "constrained"]);
    assert_eq!(told(1), ["random", "native", "unloaded", "constrained"]);
    assert_eq!(all[0]["default"], true);
    assert_eq!(all[1].get("default"), None);
    assert!(
        all[0]["memory_bytes"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1 << 20
    );

    let mut answers = Vec::new();
    for (asked, served) in [("", "tiny"), ("tiny", "tiny"), ("random", "random")] {
        let answer = server.generate(&words(asked));
        assert_eq!(answer["done"]["model"], served, "{answer}");
        answers.push(logprobs(&answer).clone());
    }
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
    assert_eq!(state(&server, "random"), "loaded");
    let one = json!({"input": ["one"], "model": "random"});
    let embedded = server.ask(&json!({"id": 1, "embed": one}));
    assert_eq!(embedded["embeddings"]["model"], "random");

    let error = &server.generate(&words("huge"))["error"];
    assert_eq!(error["code"], "NOT_FOUND");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("\"tiny\", \"random\""), "{hint}");
    assert_eq!(server.detail("models"), "tiny (loaded), random (loaded)");
}

#[test]
fn a_model_that_nobody_asks_for_is_unloaded_and_comes_back_and_the_first_stays() {
    let random = random();
    let flags = [
        "--model",
        "tiny=built-in",
        "--model",
        &random,
        "--no-packed-cache",
        "--keep-alive",
        "200ms",
    ];
    let server = Server::start(&flags);
    let before = server.generate(&words("random"));
    until(&server, "random", "unloaded");
    assert_eq!(state(&server, "tiny"), "loaded");
    let after = server.generate(&words("random"));
    assert_eq!(logprobs(&before), logprobs(&after));
    let metrics = server.ask(&json!({"id": 1, "metrics": {}}));
    let text = metrics["metrics_report"]["text"].as_str().unwrap();
    let count = "requests_total{method=\"generate\",model=\"random\",outcome=\"length\"} 2";
    assert!(text.contains(count), "{text}");
}

#[test]
fn many_who_ask_at_once_for_a_model_that_is_not_there_all_get_it() {
    let random = random();
    let server = Server::start(&[
        "--model",
        "tiny=built-in",
        "--model",
        &random,
        "--no-packed-cache",
    ]);
    let answers: Vec<Value> = thread::scope(|scope| {
        let askers: Vec<_> = (0..12)
            .map(|index| {
                let model = if index % 3 == 0 { "tiny" } else { "random" };
                (model, scope.spawn(|| server.generate(&words(model))))
            })
            .collect();
        let answered = askers.into_iter().map(|(model, asker)| {
            let answer = asker.join().unwrap();
            assert_eq!(answer["done"]["model"], model, "{answer}");
            answer
        });
        answered.collect()
    });
    assert_eq!(logprobs(&answers[1]), logprobs(&answers[2]));
}

#[test]
fn models_make_room_for_each_other_and_one_that_cannot_fit_is_refused() {
    let room = common::room();
    let (a, b) = (
        checkpoint(&room.path().join("a")),
        checkpoint(&room.path().join("b")),
    );
    // Each file has 11.5 MiB; the first model's weights are half of that in memory.
    let flags = |mib: &'static str| {
        let (a, b) = (format!("a={a}"), format!("b={b}"));
        [
            "--model".into(),
            "tiny=built-in".into(),
            "--model".into(),
            a,
            "--model".into(),
            b,
            "--models-mib".into(),
            mib.into(),
        ]
    };
    let start = |mib| {
        let flags: [String; 8] = flags(mib);
        Server::start(&flags.each_ref().map(String::as_str))
    };
    let server = start("19");
    for (asked, others) in [("a", "b"), ("b", "a"), ("a", "b")] {
        let answer = server.generate(&words(asked));
        assert_eq!(answer["done"]["model"], asked, "{answer}");
        assert_eq!(state(&server, others), "unloaded");
    }
    assert_eq!(state(&server, "tiny"), "loaded");
    drop(server);
    let server = start("14");
    let error = &server.generate(&words("a"))["error"];
    assert_eq!(error["code"], "RESOURCE_EXHAUSTED");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("\"a\" may take 12 MiB"), "{message}");
    assert!(error["hint"].as_str().unwrap().contains("--models-mib"));
    assert_eq!(server.generate(&words(""))["done"]["model"], "tiny");
}

#[test]
fn a_model_is_loaded_anew_and_unloaded_without_a_loss_to_requests_under_way() {
    let room = common::room();
    let dir = room.path().join("model");
    let model = format!("mine={}", checkpoint(&dir));
    let server = Server::start(&["--model", "tiny=built-in", "--model", &model]);
    // However the draws fall, this takes hundreds of tokens.
    let digits =
        json!({"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 400, "maxItems": 400});
    let format = json!({"type": "json_schema", "schema": digits.to_string()});
    let long = json!({"chat": chat("Tell me a story."), "model": "mine", "response_format": format, "stream": true,
        "sampling": {"temperature": 3.0, "seed": 7}, "logprobs": 0, "without": ["forced"]});
    let alone = server.generate(&long);
    let before = server.generate(&words("mine"));

    let mut wire = server.connect();
    wire.send(&json!({"id": 3, "generate": long}));
    let first = wire.next().unwrap();
    assert!(first.get("delta").is_some(), "{first}");
    // Other weights under the same name: the last eighth of the file are zeros.
    let weights = dir.join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let at = bytes.len() / 8 * 7;
    bytes[at..].fill(0);
    fs::write(dir.join("new"), &bytes).unwrap();
    fs::rename(dir.join("new"), &weights).unwrap();
    let all = models(&server, &json!({"reload": "mine"}));
    assert_eq!(all[1]["requests"], 1, "the long one is under way still");
    let after = server.generate(&words("mine"));
    assert_ne!(logprobs(&before), logprobs(&after));
    models(&server, &json!({"unload": "mine"}));
    assert_eq!(state(&server, "mine"), "unloaded");
    let under_way = wire.answer(3).pop().unwrap();
    assert_eq!(logprobs(&under_way), logprobs(&alone));
    models(&server, &json!({"load": "mine"}));
    assert_eq!(state(&server, "mine"), "loaded");
    assert_eq!(logprobs(&server.generate(&words("mine"))), logprobs(&after));
    for (asked, code) in [
        (
            json!({"load": "mine", "unload": "mine"}),
            "INVALID_ARGUMENT",
        ),
        (json!({"reload": "other"}), "NOT_FOUND"),
    ] {
        let answer = server.ask(&json!({"id": 1, "models": asked}));
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_says_why_and_serves_when_it_is_mended() {
    let room = common::room();
    let dir = room.path().join("model");
    let model = format!("mine={}", checkpoint(&dir));
    let server = Server::start(&["--model", "tiny=built-in", "--model", &model]);
    let config = fs::read(dir.join("config.json")).unwrap();
    fs::write(dir.join("config.json"), "{}").unwrap();
    let error = &server.generate(&words("mine"))["error"];
    assert_eq!(error["code"], "FAILED_PRECONDITION");
    assert!(
        error["message"].as_str().unwrap().contains("config.json"),
        "{error}"
    );
    let problem = &models(&server, &json!({}))[1]["problem"];
    assert!(
        problem.as_str().unwrap().contains("config.json"),
        "{problem}"
    );
    assert_eq!(server.generate(&words("tiny"))["done"]["model"], "tiny");
    fs::write(dir.join("config.json"), config).unwrap();
    assert_eq!(server.generate(&words("mine"))["done"]["model"], "mine");
    assert_eq!(models(&server, &json!({}))[1].get("problem"), None);
}

#[test]
fn what_is_wrong_with_the_models_is_said_at_the_start() {
    let room = common::room();
    for (flags, told) in [
        (
            vec!["--model", "built-in", "--model", "built-in"],
            "two models are called",
        ),
        (
            vec!["--model", "built-in", "--model", "x=/nowhere"],
            "/nowhere",
        ),
        (vec!["--model", "=x"], "NAME=MODEL"),
        #[cfg(not(feature = "mistralrs"))]
        (vec!["--model", "mistralrs:x"], "built without"),
        (vec!["--keep-alive", "soon"], "30s, 10m or 1h"),
        (vec!["--models-mib", "0"], "1 or more"),
    ] {
        let socket = room.path().join("s");
        let refused = program()
            .arg("--socket")
            .arg(socket)
            .args(&flags)
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2), "{flags:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            said.contains(told) && said.contains("fix: "),
            "{flags:?}: {said}"
        );
    }
}
