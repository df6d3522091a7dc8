//! `embed` and `score` over the socket: what they answer is what transformers gives, and what generate tells; what cannot
//! be is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{path::PathBuf, time::Instant};

use common::{PATIENCE, Server, chat, convert_units};
use serde_json::{Value, json};

/// Lines that `scripts/make_reference_logits.py` wrote, those with this key.
fn references(key: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/texts.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let found: Vec<Value> = lines
        .filter(|line: &Value| line.get(key).is_some())
        .collect();
    assert!(found.len() > 1);
    found
}

/// A zero, the log probability of a token that is certain, is left out as all defaults are.
fn floats(list: &Value) -> Vec<f64> {
    let numbers = list.as_array().unwrap_or_else(|| panic!("{list}")).iter();
    let float = |number: &Value| match number {
        Value::Null => 0.0,
        number => number.as_f64().unwrap(),
    };
    numbers.map(float).collect()
}

fn close(ours: &Value, theirs: &Value) {
    let (ours, theirs) = (floats(ours), floats(theirs));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() < 1e-4, "{ours} for {theirs}");
    }
}

fn embed(server: &Server, embed: &Value) -> Value {
    server.ask(&json!({"id": 1, "embed": embed}))
}

fn score(server: &Server, score: &Value) -> Value {
    server.ask(&json!({"id": 1, "score": score}))
}

#[test]
fn vectors_of_texts_are_those_of_transformers() {
    let server = Server::start(&["--weights", "f32"]);
    let references = references("text");
    let input: Vec<&Value> = references.iter().map(|line| &line["text"]).collect();
    for (normalize, wanted) in [(None, "unit"), (Some(true), "unit"), (Some(false), "mean")] {
        let answer = embed(&server, &json!({"input": input, "normalize": normalize}));
        let answer = &answer["embeddings"];
        assert_eq!(answer["dimensions"], 256);
        assert_eq!(answer["model"], "callspan-default");
        let vectors = answer["vectors"].as_array().unwrap();
        let mut tokens = 0;
        for (vector, line) in vectors.iter().zip(&references) {
            close(&vector["values"], &line[wanted]);
            assert_eq!(vector["tokens"], line["tokens"]);
            tokens += line["tokens"].as_u64().unwrap();
        }
        assert_eq!(answer["usage"]["prompt_tokens"], tokens);
        assert_eq!(vectors.len(), references.len());
    }
}

#[test]
fn scores_of_texts_are_those_of_transformers() {
    let server = Server::start(&["--weights", "f32"]);
    for line in references("completion") {
        let asked = json!({"prompt": line["prompt"], "completion": line["completion"], "top": 2});
        let answer = &score(&server, &asked)["scores"];
        let tokens = answer["logprobs"].as_array().unwrap();
        let each = |key: &str| -> Value { tokens.iter().map(|token| token[key].clone()).collect() };
        close(&each("logprob"), &line["logprobs"]);
        assert_eq!(each("id"), line["ids"]);
        let text: String = (tokens.iter())
            .map(|token| token["token"].as_str().unwrap())
            .collect();
        assert_eq!(text, line["completion"]);
        assert_eq!(answer["count"], tokens.len());
        let sum: f64 = floats(&each("logprob")).iter().sum();
        assert!((answer["sum"].as_f64().unwrap() - sum).abs() < 1e-3);
        assert_eq!(answer["usage"]["completion_tokens"], tokens.len());
        // The tokens themselves say the same as the text.
        let mut by_ids = json!({"prompt": line["prompt"], "completion_ids": line["ids"], "top": 2});
        assert_eq!(
            score(&server, &by_ids)["scores"]["logprobs"],
            answer["logprobs"]
        );
        by_ids["completion_ids"] = json!([]);
        by_ids["completion"] = line["completion"].clone();
        assert_eq!(score(&server, &by_ids)["scores"]["sum"], answer["sum"]);
    }
}

#[test]
fn what_generate_tells_of_its_tokens_is_their_score() {
    let server = Server::start(&[]);
    let asked = json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units()]});
    for sampling in [json!({}), json!({"temperature": 3, "seed": 7})] {
        let mut generate = asked.clone();
        generate["logprobs"] = 4.into();
        generate["max_tokens"] = 40.into();
        generate["sampling"] = sampling;
        let done = server.generate(&generate);
        let told = &done["done"]["logprobs"];
        let tokens = told.as_array().unwrap_or_else(|| panic!("{done}"));
        assert!(tokens.len() > 5, "{done}");
        let ids: Vec<&Value> = tokens.iter().map(|token| &token["id"]).collect();
        let mut scored = asked.clone();
        scored["completion_ids"] = json!(ids);
        scored["top"] = 4.into();
        let scores = score(&server, &scored);
        assert_eq!(&scores["scores"]["logprobs"], told);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_what_to_do() {
    let server = Server::start(&[]);
    let long = "word ".repeat(5000);
    for (method, asked, code, message, hint) in [
        ("embed", json!({}), "INVALID_ARGUMENT", "0 texts", "input"),
        (
            "embed",
            json!({"input": vec!["x"; 257]}),
            "INVALID_ARGUMENT",
            "257 texts; embed takes 1 to 256",
            "",
        ),
        (
            "embed",
            json!({"input": ["x", ""]}),
            "INVALID_ARGUMENT",
            "input[1] is empty",
            "leave it out",
        ),
        (
            "embed",
            json!({"input": ["x", long]}),
            "FAILED_PRECONDITION",
            "input[1] has 10001 tokens, the model's context 4096",
            "parts",
        ),
        (
            "embed",
            json!({"input": ["x"], "model": "other"}),
            "NOT_FOUND",
            "other",
            "callspan-default",
        ),
        (
            "score",
            json!({"completion": "x"}),
            "INVALID_ARGUMENT",
            "score needs a chat or a prompt",
            "messages",
        ),
        (
            "score",
            json!({"prompt": "", "completion": "x"}),
            "INVALID_ARGUMENT",
            "the prompt is empty",
            "<bos>",
        ),
        (
            "score",
            json!({"prompt": "x"}),
            "INVALID_ARGUMENT",
            "no completion",
            "completion",
        ),
        (
            "score",
            json!({"prompt": "x", "completion": "x", "completion_ids": [1]}),
            "INVALID_ARGUMENT",
            "exclude each other",
            "one of them",
        ),
        (
            "score",
            json!({"prompt": "x", "completion_ids": [1, 8192]}),
            "INVALID_ARGUMENT",
            "no token 8192",
            "below 8192",
        ),
        (
            "score",
            json!({"prompt": "x", "completion": "x", "top": 21}),
            "INVALID_ARGUMENT",
            "top is 21",
            "0 to 20",
        ),
        (
            "score",
            json!({"prompt": "<bos>", "completion": long}),
            "FAILED_PRECONDITION",
            "the prompt has 1 tokens and the completion 10000, the model's context 4096",
            "parts",
        ),
        (
            "score",
            json!({"prompt": "x", "completion": "x", "model": "other"}),
            "NOT_FOUND",
            "other",
            "callspan-default",
        ),
    ] {
        let answer = server.ask(&json!({"id": 1, method: asked}));
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{answer}");
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{answer}"
        );
        assert!(
            error["hint"].as_str().unwrap_or_default().contains(hint),
            "{answer}"
        );
    }
    // The longest that fits does.
    let longest = json!({"prompt": "<bos>", "completion_ids": vec![5; 4095]});
    assert_eq!(score(&server, &longest)["scores"]["count"], 4095);
}

#[test]
fn control_tokens_are_text_where_texts_are_embedded_and_honoured_where_a_text_is_scored() {
    let server = Server::start(&[]);
    let spelt = embed(&server, &json!({"input": ["<end_of_turn>"]}));
    assert!(
        spelt["embeddings"]["vectors"][0]["tokens"]
            .as_u64()
            .unwrap()
            > 2,
        "{spelt}"
    );
    let honoured = score(
        &server,
        &json!({"prompt": "<bos>", "completion": "<end_of_turn>"}),
    );
    assert_eq!(honoured["scores"]["count"], 1, "{honoured}");
}

#[test]
fn a_cancelled_reading_frees_the_model() {
    let server = Server::start(&["--threads", "1"]);
    let many = json!({"id": 1, "embed": {"input": vec!["word ".repeat(1500); 100]}});
    let mut wire = server.connect();
    wire.send(&many);
    server.until("running", "1");
    let since = Instant::now();
    wire.send(&json!({"id": 1, "cancel": {}}));
    assert_eq!(wire.answer(1)[0]["error"]["code"], "CANCELLED");
    server.until("running", "0");
    // All of it would take minutes.
    assert!(since.elapsed() < PATIENCE / 6, "{:?}", since.elapsed());
}

#[test]
fn a_long_reading_does_not_keep_an_answer_waiting() {
    let server = Server::start(&["--threads", "1"]);
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "embed": {"input": vec!["word ".repeat(1500); 100]}}));
    server.until("running", "1");
    let done = server.generate(&json!({"chat": chat("Hello"), "max_tokens": 4}));
    assert_eq!(done["done"]["usage"]["completion_tokens"], 4, "{done}");
    // It is still being read.
    server.until("running", "1");
    wire.send(&json!({"id": 1, "cancel": {}}));
    assert_eq!(wire.answer(1)[0]["error"]["code"], "CANCELLED");
}
