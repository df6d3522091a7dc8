//! Tools that nobody means well with, or that grew without anybody looking: an answer or a clear refusal, in bounded time
//! and memory, and the server serves on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{fs, time::Instant};

use common::{PATIENCE, Server, chat, convert_units};
use serde_json::{Map, Value, json};

/// A tool with one required argument.
fn tool(argument: &Value) -> Value {
    json!({"name": "f", "parameters": {"type": "object", "properties": {"a": argument}, "required": ["a"]}})
}

fn ask(server: &Server, tools: &Value) -> Value {
    let since = Instant::now();
    let answer = server.generate(
        &json!({"chat": chat("Hello"), "tools": tools, "tool_choice": "required", "max_calls": 1, "max_tokens": 100}),
    );
    // On a machine that does much else, too. Without bounds some of these would take hours.
    assert!(since.elapsed() < PATIENCE / 4, "{:?}", since.elapsed());
    answer
}

fn megabytes(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib >> 10
}

#[test]
fn tools_of_any_size_are_answered_or_refused_in_bounded_time_and_memory() {
    let server = Server::start(&[]);
    let many = |make: &dyn Fn(usize) -> (String, Value), count| {
        Value::Object((0..count).map(make).collect::<Map<_, _>>())
    };
    let megabyte = many(
        &|i| {
            (
                format!("p{i}"),
                json!({"type": "string", "description": "x".repeat(60)}),
            )
        },
        9000,
    );
    let texts: Vec<String> = (0..10_000).map(|i| format!("value {i}")).collect();
    let numbers: Vec<usize> = (0..10_000).collect();
    let branches: Vec<Value> = (0..1000)
        .map(|i| json!({"type": "object", "properties": {format!("k{i}"): {"type": "integer"}}, "required": [format!("k{i}")]}))
        .collect();
    let thousand: Vec<Value> = (0..1000)
        .map(|i| json!({"name": format!("t{i}"), "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}))
        .collect();
    let nested = (0..100).fold(
        json!({"type": "integer"}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    for (tools, outcome) in [
        (
            json!([tool(&json!({"type": "object", "properties": megabyte}))]),
            "the model's context 4096",
        ),
        (json!(thousand), "the model's context 4096"),
        (
            json!([tool(&json!({"enum": texts}))]),
            "the model's context 4096",
        ),
        (json!([tool(&json!({"enum": numbers}))]), "tool_calls"),
        (
            json!([tool(&json!({"anyOf": branches}))]),
            "/tools/0/parameters/properties/a/anyOf",
        ),
        (json!([tool(&nested)]), "nested deeper"),
        (
            json!([tool(
                &json!({"type": "array", "items": {"type": "string"}, "minItems": 1_000_000})
            )]),
            "length",
        ),
        (
            json!([tool(&json!({"type": "string", "minLength": 1_000_000}))]),
            "length",
        ),
        (
            json!([tool(&json!({"type": "string", "maxLength": 1_000_000}))]),
            "tool_calls",
        ),
        (
            json!([tool(&json!({"type": "string", "pattern": "^(a+)+$"}))]),
            "tool_calls",
        ),
        (
            json!([tool(
                &json!({"type": "string", "pattern": "^(a|b)*a(a|b){30}$"})
            )]),
            "/properties/a/pattern",
        ),
        (
            json!([tool(
                &json!({"type": "string", "pattern": "^(.{0,1000}){1000}x$"})
            )]),
            "tools[0].parameters",
        ),
        (
            json!([tool(
                &json!({"type": "integer", "minimum": 5, "maximum": 4})
            )]),
            "no value satisfies",
        ),
    ] {
        let answer = ask(&server, &tools);
        let told = match answer.get("error") {
            Some(error) => error["message"].as_str().unwrap(),
            None => answer["done"]["finish_reason"].as_str().unwrap(),
        };
        let start: String = tools.to_string().chars().take(200).collect();
        assert!(told.contains(outcome), "{start}: {told}");
    }
    let most = megabytes(&server);
    assert!(most < 1024, "{most} MB");
    // And it serves on.
    let answer = ask(&server, &json!([convert_units()]));
    assert_eq!(answer["done"]["finish_reason"], "tool_calls", "{answer}");
}

/// Hundreds of tool sets, each another one: what is kept of them is bounded.
#[test]
fn what_is_kept_of_tool_sets_is_bounded() {
    // What is kept of their prompts has a bound of its own.
    let server = Server::start(&["--prefix-cache-mib", "1"]);
    let ask_with = |i: usize| {
        let mut tool = convert_units();
        tool["parameters"]["properties"][format!("p{i}")] =
            json!({"type": "string", "maxLength": 20 + i, "pattern": "^[a-z]+( [a-z]+)*$"});
        let answer = ask(&server, &json!([tool]));
        assert!(answer["done"].is_object(), "{answer}");
    };
    // More than are kept, and as many again.
    (0..140).for_each(ask_with);
    let before = megabytes(&server);
    (140..280).for_each(ask_with);
    let after = megabytes(&server);
    assert!(after < before + 8, "{before} MB, then {after} MB");
}

#[test]
fn names_that_the_format_cannot_carry_are_refused() {
    let server = Server::start(&[]);
    for name in [
        "a{b",
        "a\nb",
        "a<escape>b",
        "a b",
        "a:b",
        "",
        "<end_function_call>",
    ] {
        let answer = ask(&server, &json!([{"name": name}]));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("tools[0]: name"), "{message}");
    }
    for name in ["a.b", "a-b", "größe", "A_1", "会議"] {
        let answer = ask(&server, &json!([{"name": name}]));
        assert_eq!(answer["done"]["tool_calls"][0]["name"], name, "{answer}");
    }
}
