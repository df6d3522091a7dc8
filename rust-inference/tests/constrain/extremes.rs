//! Schemas as nobody should send them: they cost bounded time and memory, and get a clear error or a correct result.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rust_inference::{
    constrain::{Acceptor, Mode, Options},
    functiongemma::tools_from_json,
};
use serde_json::{Map, Value, json};

use crate::{notation, walks::Words};

/// What any of them may take, with other tests beside it.
const PATIENCE: Duration = Duration::from_secs(20);
const MEMORY_KB: u64 = 256 << 10;

/// A command that answers line by line.
struct Checker {
    process: Child,
    stdin: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Checker {
    fn start(command: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rust-inference"))
            .args([command, "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            stdin,
            out,
        }
    }

    /// The answer to tools and a text, which must come in time and in bounded memory.
    fn ask(&mut self, tools: &Value, text: &str) -> Value {
        let before = Instant::now();
        writeln!(self.stdin, "{}", json!({"tools": tools, "text": text})).unwrap();
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(before.elapsed() < PATIENCE, "{:?}", before.elapsed());
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kilobytes < MEMORY_KB, "{kilobytes} kB");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tool `f` with these parameters.
fn f(parameters: &Value) -> Value {
    json!([{"name": "f", "parameters": parameters}])
}

/// A tool whose one argument, `a`, has this schema.
fn with(schema: &Value) -> Value {
    f(&json!({"type": "object", "properties": {"a": schema}, "required": ["a"]}))
}

/// Objects in objects.
fn nested(depth: usize) -> Value {
    (0..depth).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "object", "properties": {"x": inner}, "required": ["x"]}),
    )
}

fn patterned(pattern: &str) -> Value {
    with(&json!({"type": "string", "pattern": pattern}))
}

#[test]
fn large_sets_are_understood_and_their_calls_told_apart() {
    let properties: Map<String, Value> = (0..7000)
        .map(|i| (format!("p{i}"), json!({"type": "string", "description": "x".repeat(80), "pattern": "^[a-z]{1,20}$"})))
        .collect();
    let megabyte = f(&json!({"type": "object", "properties": properties}));
    assert!(megabyte.to_string().len() > 1_000_000);
    let described = with(&json!({"type": "integer", "description": "x".repeat(1_000_000)}));
    let thousand: Value = (0..1000)
        .map(|i| json!({"name": format!("tool_{i}"), "parameters": {"type": "object", "properties": {"a": {"const": i}}, "required": ["a"]}}))
        .collect();
    let values: Vec<String> = (0..10_000)
        .map(|i| format!("value {i} of {}", i * 7919 % 10_007))
        .collect();
    let texts = with(&json!({"enum": values}));
    let numbers = with(&json!({"enum": (0..10_000).map(|i| i * 3).collect::<Vec<_>>()}));
    let optional = f(
        &json!({"type": "object", "properties": (0..300).map(|i| (format!("p{i}"), json!({"anyOf": [{"type": "string"}, {"type": "null"}]}))).collect::<Map<_, _>>()}),
    );
    let (mut schema, mut accept) = (Checker::start("schema"), Checker::start("accept"));
    for (tools, name, valid, invalid) in [
        (
            &megabyte,
            "f",
            json!({"p6999": "abc"}),
            json!({"p6999": "ABC"}),
        ),
        (&described, "f", json!({"a": 1}), json!({"a": "1"})),
        (&thousand, "tool_999", json!({"a": 999}), json!({"a": 998})),
        (
            &texts,
            "f",
            json!({"a": values[9999]}),
            json!({"a": "value 9999"}),
        ),
        (&numbers, "f", json!({"a": 29_997}), json!({"a": 29_998})),
        (&optional, "f", json!({"p299": null}), json!({"p299": 0})),
    ] {
        assert_eq!(schema.ask(tools, "")["ok"], true);
        assert_eq!(
            accept.ask(tools, &notation::call(name, &valid))["ok"],
            true,
            "{valid}"
        );
        let refused = accept.ask(tools, &notation::call(name, &invalid));
        assert!(refused["error"]["position"].is_u64(), "{refused}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let product: Vec<Value> = (0..10)
        .map(|i| {
            (0..4)
                .map(|j| json!({"minLength": i * j}))
                .collect::<Value>()
        })
        .map(|any| json!({"anyOf": any}))
        .collect();
    let named = |name: &str| json!([{"name": name, "parameters": {}}]);
    let mut schema = Checker::start("schema");
    for (tools, told) in [
        (
            f(
                &json!({"type": "object", "properties": {}, "required": ["a"], "additionalProperties": false}),
            ),
            "no value satisfies",
        ),
        (
            f(&json!({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]})),
            "no value satisfies",
        ),
        (with(&nested(55)), "no value satisfies"),
        (with(&nested(100)), "recursion limit exceeded"),
        (with(&json!({"allOf": product})), "combine to more than"),
        (
            with(&json!({"$ref": "#/properties/a"})),
            "leads back to itself",
        ),
        (
            with(&json!({"type": "integer", "multipleOf": 1e-200})),
            "multipleOf",
        ),
        (
            patterned("^(?:(?:(?:a{1,100}){1,100}){1,100}){1,100}$"),
            "not a usable JSON Schema",
        ),
        (patterned("(a|b)*a(a|b){25}$"), "too large"),
        (patterned("("), "not a usable JSON Schema"),
        (
            json!([{"name": "f"}, {"name": "f"}]),
            "a second tool is named",
        ),
        (named("f{"), "contains '{'"),
        (named("f\n"), "contains '\\n'"),
        (named(""), "name is missing"),
    ] {
        let refused = schema.ask(&tools, "");
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(told), "{told}: {refused}");
    }
}

#[test]
fn what_is_odd_is_kept_to_and_whatever_is_generated_for_it_is_accepted() {
    let words = Words::default_model();
    let mut schema = Checker::start("schema");
    for tools in [
        // What is required without being declared may be anything.
        f(&json!({"type": "object", "properties": {}, "required": ["a"]})),
        f(&json!({"type": "object", "required": ["a", "b"]})),
        with(&nested(40)),
        with(&json!({"type": "array", "items": {"type": "integer"}, "minItems": 50})),
        with(&json!({"type": "string", "minLength": 200, "maxLength": 1_000_000})),
        f(
            &json!({"type": "object", "properties": {"n": {"$ref": "#"}}, "additionalProperties": false}),
        ),
        patterned("^(a+)+$"),
        patterned("^(([a-z])+.)+[A-Z]([a-z])+$"),
        patterned("(x+x+)+y"),
        patterned("^(.*,){30}P"),
        patterned("^(a?){50}a{50}$"),
    ] {
        assert_eq!(schema.ask(&tools, "")["ok"], true, "{tools}");
        let offered = tools_from_json(&tools.to_string()).unwrap();
        let acceptor = Acceptor::new(&offered, Options::default()).unwrap();
        for seed in 0..4 {
            let before = Instant::now();
            let text = words.call(acceptor.grammar(), "f", seed, 800);
            assert!(
                before.elapsed() < PATIENCE,
                "{tools}: {:?}",
                before.elapsed()
            );
            let outcome = acceptor.accept(&text, &Mode::Required, Some(1));
            assert!(outcome.is_ok(), "{tools}: {outcome:?}: {text}");
        }
    }
}

#[test]
fn a_text_that_makes_a_pattern_backtrack_is_checked_in_time() {
    let mut accept = Checker::start("accept");
    let long = "a".repeat(50_000) + "!";
    for pattern in ["^(a+)+$", "^(a|aa)+$", "(x+x+)+y", "^(?=a)(a+)+$"] {
        let text = notation::call("f", &json!({"a": long}));
        let refused = accept.ask(&patterned(pattern), &text);
        assert_eq!(refused["ok"], false, "{pattern}");
        assert_eq!(refused["error"]["position"], 30, "{refused}");
    }
}

#[test]
fn without_tools_there_are_no_calls() {
    let mut accept = Checker::start("accept");
    assert_eq!(accept.ask(&json!([]), "Hello")["ok"], true);
    let refused = accept.ask(&json!([]), &notation::call("f", &json!({})));
    assert_eq!(refused["error"]["position"], 26);
}
