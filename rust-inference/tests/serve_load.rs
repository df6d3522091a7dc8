//! The one model and many who want it: cancelled and lost requests free it, a full queue says so, and a killed server
//! stands up again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{
    net::Shutdown,
    time::{Duration, Instant},
};

use common::{PATIENCE, Server, Wire, chat, convert_units, long};
use serde_json::{Value, json};

/// One thread, so that a long request is long, and one request at a time.
fn server() -> Server {
    Server::start(&["--threads", "1", "--parallel", "1", "--queue", "1"])
}

/// How long a request takes that nobody stops.
fn whole(server: &Server) -> Duration {
    let since = Instant::now();
    assert_eq!(server.generate(&long())["done"]["finish_reason"], "length");
    since.elapsed()
}

/// A connection whose request 1 keeps the model busy.
fn at_work(server: &Server) -> Wire {
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": long()}));
    server.until("running", "1");
    wire
}

fn error(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}

#[test]
fn a_cancelled_prefill_frees_the_model() {
    let server = server();
    let whole = whole(&server);
    let mut wire = at_work(&server);
    let since = Instant::now();
    wire.send(&json!({"id": 1, "cancel": {}}));
    assert_eq!(error(&wire.answer(1).pop().unwrap()), "CANCELLED");
    server.until("running", "0");
    let took = since.elapsed();
    assert!(took < whole / 2, "{took:?} of {whole:?}");
}

#[test]
fn a_cancelled_decode_frees_the_model() {
    let server = server();
    let mut wire = server.connect();
    // So hot that the model writes at random, hundreds of tokens until it happens on one that ends.
    wire.send(&json!({"id": 1, "generate": {"prompt": "Hello", "stream": true, "sampling": {"temperature": 100}}}));
    assert!(wire.next().unwrap()["delta"].is_object());
    wire.send(&json!({"id": 1, "cancel": {}}));
    let end = wire.answer(1).pop().unwrap();
    // It may have ended by itself just then.
    assert!(
        error(&end) == "CANCELLED" || end["done"].is_object(),
        "{end}"
    );
    server.until("running", "0");
}

#[test]
fn who_hangs_up_frees_the_model() {
    let server = server();
    let whole = whole(&server);
    let wire = at_work(&server);
    let since = Instant::now();
    drop(wire);
    server.until("running", "0");
    let took = since.elapsed();
    assert!(took < whole / 2, "{took:?} of {whole:?}");
}

/// As of `echo … | socat - UNIX-CONNECT:…`: he has said all, but still listens.
#[test]
fn who_has_only_said_all_gets_his_answer() {
    let server = server();
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": {"chat": chat("Hello, who are you?")}}));
    wire.stream.shutdown(Shutdown::Write).unwrap();
    assert!(wire.answer(1).pop().unwrap()["done"].is_object());
    assert!(wire.next().is_none());
}

#[test]
fn a_deadline_ends_a_request() {
    let server = server();
    let answer = server.ask(&json!({"id": 1, "generate": long(), "meta": {"timeout_ms": 50}}));
    assert_eq!(error(&answer), "DEADLINE_EXCEEDED");
    server.until("running", "0");
}

/// Each pattern takes tens of milliseconds of trying for the one word that the built-in model writes there.
#[test]
fn a_check_that_takes_long_holds_up_neither_others_nor_the_end() {
    let mut server = server();
    let slow: Vec<Value> = (0..3000)
        .map(|i| json!({"pattern": format!("^{}\\1\\2x{i}$", "(.?)".repeat(40))}))
        .collect();
    let mut tool = convert_units();
    tool["parameters"]["properties"]["to_unit"]["not"] = json!({"anyOf": slow});
    // As many as there are threads that serve sockets.
    let mut wires = [server.connect(), server.connect()];
    for wire in &mut wires {
        // It cannot be guaranteed, only checked.
        let generate = json!({"chat": chat("How many miles is 12 km?"), "tools": [tool], "stream": true, "lenient": true});
        wire.send(&json!({"id": 1, "generate": generate, "meta": {"timeout_ms": 3000}}));
    }
    let since = Instant::now();
    for wire in &mut wires {
        let end = wire.answer(1).pop().unwrap();
        assert_eq!(error(&end), "DEADLINE_EXCEEDED", "{end}");
    }
    assert!(!server.detail("model").is_empty());
    server.terminate();
    while server.process.try_wait().unwrap().is_none() {
        assert!(since.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Under 100 bytes of each level suffice to keep a checker busy for years, or to overflow its stack.
#[test]
fn a_schema_that_unfolds_without_end_is_refused() {
    let server = server();
    for (levels, branches) in [(26, 2), (50_000, 1)] {
        let mut defs = serde_json::Map::new();
        for i in 0..levels {
            let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
            let link = if branches == 1 {
                next
            } else {
                json!({"anyOf": vec![next; branches]})
            };
            defs.insert(format!("a{i}"), link);
        }
        defs.insert(format!("a{levels}"), json!({"const": 1}));
        let mut tool = convert_units();
        tool["parameters"]["properties"]["from_unit"]["$ref"] = json!("#/$defs/a0");
        tool["parameters"]["$defs"] = Value::from(defs);
        let generate = json!({"chat": chat("How many miles is 12 km?"), "tools": [tool]});
        let answer = server.generate(&generate);
        assert_eq!(error(&answer), "INVALID_ARGUMENT", "{answer}");
        assert!(
            answer
                .to_string()
                .contains("tools[0].parameters: not a usable JSON Schema: it")
        );
    }
}

#[test]
fn a_full_queue_says_when_to_come_back_and_a_place_given_up_is_free() {
    let server = server();
    let mut wire = at_work(&server);
    wire.send(&json!({"id": 3, "generate": long()}));
    server.until("waiting", "1");
    let refused = server.generate(&json!({"prompt": "Hello"}));
    assert_eq!(error(&refused), "RESOURCE_EXHAUSTED", "{refused}");
    // Nothing was measured yet, but two such requests are not over at once.
    assert!(
        refused["error"]["retry_after_ms"].as_u64().unwrap() >= 100,
        "{refused}"
    );
    wire.send(&json!({"id": 3, "cancel": {}}));
    assert_eq!(error(&wire.answer(3).pop().unwrap()), "CANCELLED");
    // While the first still runs.
    assert_eq!(
        (
            server.detail("running").as_str(),
            server.detail("waiting").as_str()
        ),
        ("1", "0")
    );
    wire.send(&json!({"id": 5, "generate": {"prompt": "Hello", "max_tokens": 1}}));
    wire.send(&json!({"id": 1, "cancel": {}}));
    let end = wire.answer(5).pop().unwrap();
    assert_eq!(end["done"]["finish_reason"], "length", "{end}");
}

#[test]
fn a_killed_server_stands_up_again_on_its_socket() {
    let mut first = server();
    let mut wire = first.connect();
    wire.send(&json!({"id": 1, "generate": long()}));
    first.until("running", "1");
    first.process.kill().unwrap();
    first.process.wait().unwrap();
    assert!(wire.next().is_none(), "the connection ends");
    assert!(first.socket.exists(), "it had no time to clean up");
    first.process = common::program()
        .arg("--socket")
        .arg(&first.socket)
        .spawn()
        .unwrap();
    assert!(first.generate(&json!({"prompt": "Hello", "max_tokens": 1}))["done"].is_object());
}

#[test]
fn sigterm_lets_those_finish_who_are_at_work_and_ends() {
    let mut server = server();
    let mut wire = at_work(&server);
    server.terminate();
    let goodbye = wire.next().unwrap();
    assert!(goodbye["go_away"].is_object(), "{goodbye}");
    // On a slow machine its few seconds are over before.
    let end = wire.answer(1).pop().unwrap();
    assert!(
        end["done"].is_object() || error(&end) == "UNAVAILABLE",
        "{end}"
    );
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = server.process.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
    assert!(!server.socket.exists());
}
