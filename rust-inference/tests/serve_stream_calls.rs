//! Calls that stream, over the real socket: the name as soon as it is fixed, then the arguments piece by piece, and at the
//! end the whole.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use common::{Server, chat, convert_units};
use serde_json::{Value, json};

/// The deltas of an answer, and its done.
fn streamed(server: &Server, mut generate: Value) -> (Vec<Value>, Value) {
    generate["stream"] = json!(true);
    let mut wire = server.connect();
    wire.send(&json!({"id": 5, "generate": generate}));
    let mut frames = wire.answer(5);
    let last = frames.pop().unwrap();
    assert!(last["done"].is_object(), "{last}");
    let deltas = frames.iter().map(|frame| frame["delta"].clone()).collect();
    (deltas, last["done"].clone())
}

/// The calls that the fragments make, as in `done`.
fn joined(deltas: &[Value]) -> Vec<Value> {
    let mut calls: Vec<[String; 3]> = Vec::new();
    for part in fragments(deltas) {
        let index = part["index"].as_u64().unwrap_or(0) as usize;
        calls.resize(calls.len().max(index + 1), Default::default());
        for (text, field) in calls[index].iter_mut().zip(["id", "name", "arguments"]) {
            text.push_str(part[field].as_str().unwrap_or_default());
        }
    }
    let call = |[id, name, arguments]: [String; 3]| json!({"id": id, "name": name, "arguments": arguments});
    calls.into_iter().map(call).collect()
}

fn fragments(deltas: &[Value]) -> Vec<&Value> {
    let lists = deltas
        .iter()
        .filter_map(|delta| delta["call_deltas"].as_array());
    lists.flatten().collect()
}

#[test]
fn the_fragments_of_calls_are_the_calls_of_done() {
    let server = Server::start(&[]);
    let note = json!({"name": "note", "parameters": {"type": "object", "properties": {
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 3},
        "at": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": ["integer", "null"]}}, "required": ["y"]}},
        "required": ["text", "at"]}});
    let (mut whole, mut pieces) = (0, 0);
    for seed in 0..24 {
        // Greedy, then so hot that the model writes at random: escapes, characters of several tokens.
        let sampling = json!({"temperature": if seed == 0 { 0 } else { 100 }, "seed": seed});
        let (deltas, done) = streamed(
            &server,
            json!({"chat": chat("How many miles is 12 km?"), "tools": [convert_units(), note],
            "tool_choice": "required", "max_tokens": 200, "sampling": sampling}),
        );
        let calls = done["tool_calls"].as_array().cloned().unwrap_or_default();
        let joined = joined(&deltas);
        // A call that the limit has cut off is none, though it was begun.
        assert!(joined.len() <= calls.len() + 1);
        assert_eq!(joined[..calls.len()], calls, "{done}");
        assert!(
            joined.len() == calls.len() || done["finish_reason"] == "length",
            "{done}"
        );
        let told: Vec<_> = deltas
            .iter()
            .filter_map(|delta| delta["tool_calls"].as_array())
            .flatten()
            .cloned()
            .collect();
        assert_eq!(told, calls);
        whole += calls.len();
        pieces += fragments(&deltas).len();
    }
    assert!(
        whole > 10 && pieces > 4 * whole,
        "{pieces} pieces of {whole} calls"
    );
}

#[test]
fn a_name_comes_before_its_arguments_are_written() {
    let server = Server::start(&[]);
    // Hundreds of tokens: they cannot all be waiting by the time that the first is read.
    let note = json!({"name": "note", "parameters": {"type": "object", "properties": {
        "text": {"type": "string", "minLength": 1000}}, "required": ["text"]}});
    let (deltas, done) = streamed(
        &server,
        json!({"chat": chat("Hello"), "tools": [note], "tool_choice": "function:note", "max_calls": 1,
            "max_tokens": 1000, "sampling": {"temperature": 100, "seed": 1}}),
    );
    let parts = fragments(&deltas);
    assert_eq!(
        (&parts[0]["name"], &parts[0]["id"]),
        (&json!("note"), &json!("call_0"))
    );
    assert!(parts.len() > 3, "{} parts", parts.len());
    assert!(parts[1..].iter().all(|part| part.get("name").is_none()));
    let whole = done["tool_calls"][0]["arguments"].as_str().unwrap();
    let first = parts[0]["arguments"].as_str().unwrap_or_default();
    assert!(first.len() < whole.len() / 2, "{first:?}");
    assert_eq!(joined(&deltas), *done["tool_calls"].as_array().unwrap());
}

#[test]
fn where_a_call_is_not_guaranteed_nothing_of_it_comes_before_it_was_checked() {
    let server = Server::start(&[]);
    let tool = |refused: &str| {
        let mut tool = convert_units();
        tool["parameters"]["properties"]["from_unit"]["not"] = json!({"const": refused});
        json!({"chat": chat("How many miles is 12 km?"), "tools": [tool], "lenient": true})
    };
    let (deltas, done) = streamed(&server, tool("parsec"));
    assert_eq!(fragments(&deltas).len(), 1, "whole at once: {deltas:?}");
    assert_eq!(joined(&deltas), *done["tool_calls"].as_array().unwrap());
    assert_eq!(done["finish_reason"], "tool_calls");
    // The built-in model writes "km".
    let (deltas, done) = streamed(&server, tool("km"));
    assert_eq!(done["finish_reason"], "invalid_call", "{done}");
    assert_eq!(fragments(&deltas), [&Value::Null; 0]);
    assert!(
        done["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/from_unit"),
        "{done}"
    );
}
