//! Many clients of one server: each gets what he would get alone, and memory is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use common::{Server, Wire, chat, convert_units, long};
use serde_json::{Value, json};

/// Calls and prose, greedy and drawn, with and without what makes it faster.
fn questions() -> Vec<Value> {
    let mut questions = Vec::new();
    for (seed, sentence) in [
        "How many miles is 12 km?",
        "Hello, who are you?",
        "How many feet are 3 yards?",
    ]
    .into_iter()
    .enumerate()
    {
        for without in [&[][..], &["speculation"], &["forced", "rows", "prefix"]] {
            questions.push(
                json!({"chat": chat(sentence), "tools": [convert_units()], "max_tokens": 40,
                "tool_choice": if seed == 1 { "auto" } else { "required" }, "without": without}),
            );
            questions.push(json!({"prompt": format!("<bos>{sentence} ").repeat(1 + 7 * seed), "max_tokens": 30,
                "sampling": {"temperature": 1.5, "top_k": 40, "seed": seed}, "logprobs": 1, "without": without}));
        }
    }
    questions
}

/// What does not depend on when it was asked.
fn essence(end: &Value) -> Value {
    let mut done = end["done"].clone();
    assert!(done.is_object(), "{end}");
    let calls = done["tool_calls"].as_array_mut();
    calls
        .into_iter()
        .flatten()
        .for_each(|call| call["id"] = Value::Null);
    let written = done["usage"]["completion_tokens"].clone();
    done["usage"] = json!({ "completion_tokens": written });
    done
}

#[test]
fn clients_at_once_get_what_each_gets_alone() {
    let server = Server::start(&[]);
    let alone: Vec<Value> = questions()
        .iter()
        .map(|asked| essence(&server.generate(asked)))
        .collect();
    let together = |parallel: &str| {
        let server = Server::start(&["--parallel", parallel]);
        // Some share a connection, and some stream.
        let mut wires: Vec<Wire> = (0..6).map(|_| server.connect()).collect();
        for (i, mut asked) in questions().into_iter().enumerate() {
            asked["stream"] = json!(i % 2 == 0);
            wires[i % 6].send(&json!({"id": i + 1, "generate": asked}));
        }
        for (i, alone) in alone.iter().enumerate() {
            let end = wires[i % 6].wait_for(i as u64 + 1);
            assert_eq!(&essence(&end), alone, "{i} of {parallel}");
        }
        server.until("running", "0");
        assert_eq!(server.detail("kv_cache_bytes"), "0");
    };
    together("16");
    together("2");
}

#[test]
fn a_request_that_memory_can_never_hold_is_refused_with_what_to_do() {
    let server = Server::start(&["--kv-cache-mib", "1", "--parallel", "3"]);
    let refused = server.generate(&long());
    let error = &refused["error"];
    assert_eq!(error["code"], "FAILED_PRECONDITION", "{refused}");
    assert!(
        error["hint"].as_str().unwrap().contains("--kv-cache-mib "),
        "{refused}"
    );
    // As much as it says is enough.
    let needed = error["hint"]
        .as_str()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    let enough = Server::start(&["--kv-cache-mib", &needed]);
    assert_eq!(enough.generate(&long())["done"]["finish_reason"], "length");
    assert_eq!(server.detail("parallel"), "3");
    assert_eq!(server.detail("kv_cache_limit_bytes"), (1 << 20).to_string());
    let short = json!({"prompt": "Hello", "max_tokens": 1});
    assert!(server.generate(&short)["done"].is_object());
}

#[test]
fn what_a_request_waited_and_worked_is_told_of_it_alone() {
    let server = Server::start(&["--parallel", "1", "--threads", "1"]);
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": long()}));
    server.until("running", "1");
    wire.send(&json!({"id": 3, "generate": {"prompt": "Hello", "max_tokens": 3}}));
    let time = |end: &Value, name: &str| end["done"]["usage"][name].as_u64().unwrap_or(0);
    let first = wire.wait_for(1);
    let second = wire.wait_for(3);
    assert!(time(&second, "queue_us") > time(&first, "queue_us"));
    assert!(time(&second, "queue_us") > time(&second, "prefill_us") + time(&second, "decode_us"));
    assert!(time(&first, "prefill_us") > time(&first, "decode_us"));
}
