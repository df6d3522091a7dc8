//! Servers that are not there, refuse, or answer what is no answer.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::fake::{Act, Fake, answer, ask, message, question, reply, serve, weather, with};

fn raw(text: &str) -> Vec<Act> {
    vec![Act::Send(text.as_bytes().to_vec())]
}

#[test]
fn a_refusal_is_told_in_the_protocols_words_with_what_to_do() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let error = |status: u16, body: &str| reply(status, "application/json", body);
    for (acts, code, message, hint) in [
        (
            error(
                400,
                r#"{"error":{"message":"bad tools","type":"invalid_request_error"}}"#,
            ),
            "INVALID_ARGUMENT",
            "bad tools",
            "does not take",
        ),
        (
            error(401, r#"{"error":{"message":"no key"}}"#),
            "UNAUTHENTICATED",
            "no key",
            "CALLSPAN_PEER_API_KEY",
        ),
        (
            error(403, ""),
            "PERMISSION_DENIED",
            "403",
            "CALLSPAN_PEER_API_KEY",
        ),
        // Ollama's words.
        (
            error(
                404,
                r#"{"error":{"message":"model \"m\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#,
            ),
            "NOT_FOUND",
            "try pulling it first",
            "ollama pull",
        ),
        (error(404, ""), "NOT_FOUND", "404", "/v1"),
        (error(405, ""), "UNIMPLEMENTED", "405", "another model"),
        (error(413, ""), "INVALID_ARGUMENT", "413", "shorten"),
        // FastAPI's and vLLM's forms.
        (
            error(422, r#"{"detail":"no such field"}"#),
            "INVALID_ARGUMENT",
            "no such field",
            "does not take",
        ),
        (
            error(400, r#"{"object":"error","message":"too long","code":400}"#),
            "INVALID_ARGUMENT",
            "too long",
            "does not take",
        ),
        (
            reply(500, "text/html", "<html><h1>Oops</h1></html>"),
            "INTERNAL",
            "a page of HTML",
            "log",
        ),
        (reply(500, "text/plain", ""), "INTERNAL", "500", "log"),
        (
            reply(500, "text/plain", "kaputt\u{1b}[31m\u{7}"),
            "INTERNAL",
            "kaputt [31m",
            "log",
        ),
        (
            error(502, r#"{"error":"no upstream"}"#),
            "UNAVAILABLE",
            "no upstream",
            "when it is ready",
        ),
        (
            error(503, r#"{"error":{"message":"Loading model"}}"#),
            "UNAVAILABLE",
            "Loading model",
            "when it is ready",
        ),
        (error(504, ""), "UNAVAILABLE", "504", "ask again"),
        (
            raw(
                "HTTP/1.1 302 Found\r\nLocation: http://evil.example/v1\r\nContent-Length: 0\r\n\r\n",
            ),
            "FAILED_PRECONDITION",
            "302",
            "http://evil.example/v1",
        ),
        (
            raw("HTTP/1.1 204 No Content\r\n\r\n"),
            "INTERNAL",
            "204",
            "log",
        ),
    ] {
        fake.posts([acts]);
        let (_, _, end) = ask(&server, &question());
        let error = &end["error"];
        assert_eq!(error["code"], code, "{end}");
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{end}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(&fake.url),
            "{end}"
        );
        assert!(error["hint"].as_str().unwrap().contains(hint), "{end}");
        assert!(!end.to_string().contains("\\u001b"), "{end}");
        // Neither asked again nor followed.
        assert_eq!(fake.asked().len(), 1);
    }
    for (retry, ms) in [
        ("Retry-After: 7\r\n", 7000),
        ("", 1000),
        ("Retry-After: soon\r\n", 1000),
        ("Retry-After: -3\r\n", 0),
    ] {
        fake.posts([raw(&format!(
            "HTTP/1.1 429 Slow\r\n{retry}Content-Length: 0\r\n\r\n"
        ))]);
        let (_, _, end) = ask(&server, &question());
        assert_eq!(end["error"]["code"], "RESOURCE_EXHAUSTED", "{end}");
        assert_eq!(
            end["error"]["retryAfterMs"]
                .as_u64()
                .or(end["error"]["retry_after_ms"].as_u64())
                .unwrap_or(0),
            ms,
            "{end}"
        );
    }
}

#[test]
fn what_is_no_answer_is_told_of() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let whole = message(&json!({"content": "Hi"}), "stop").to_string();
    let compressed = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n{whole}",
        whole.len()
    );
    for (acts, message) in [
        (reply(200, "text/html", "<html></html>"), "text/html"),
        (reply(200, "application/x-ndjson", &whole), "x-ndjson"),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            "no type",
        ),
        (reply(200, "application/json", ""), "not understood"),
        (reply(200, "application/json", "{"), "not understood"),
        (reply(200, "application/json", "[]"), "not understood"),
        (reply(200, "application/json", "{}"), "in the middle"),
        (
            reply(200, "application/json", "{\"choices\":[]}"),
            "in the middle",
        ),
        (
            reply(200, "application/json", "{\"error\":\"busy\"}"),
            "busy",
        ),
        (raw(&compressed), "compressed (gzip)"),
        (raw("SSH-2.0-OpenSSH_9.2\r\n"), "did not answer"),
        (raw(""), "did not answer"),
        (vec![Act::Reset], "did not answer"),
        (raw("HTTP/1.1 200 OK\r\nContent-Le"), "did not answer"),
    ] {
        fake.posts([acts]);
        let (_, _, end) = ask(&server, &question());
        let error = &end["error"];
        assert!(
            error["message"].as_str().unwrap().contains(message),
            "{message}: {end}"
        );
        assert!(
            ["INTERNAL", "UNAVAILABLE"].contains(&error["code"].as_str().unwrap()),
            "{end}"
        );
    }
    // It is none the worse for it.
    fake.posts([answer(&message(&json!({"content": "Hi"}), "stop"))]);
    let (_, _, done) = ask(&server, &question());
    assert_eq!(done["done"]["content"], "Hi");
}

#[test]
fn one_who_keeps_silent_or_never_reads_is_given_up() {
    let fake = Fake::new();
    fake.get("/v1/models", vec![Act::Hold]);
    let begun = Instant::now();
    let server = fake.server(&["--peer-timeout", "400ms"]);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it starts all the same"
    );
    assert!(
        server
            .detail("reachable")
            .contains("has not begun to answer")
    );
    for stream in [false, true] {
        fake.posts([vec![Act::Hold]]);
        let (_, _, end) = ask(&server, &with(question(), &json!({"stream": stream})));
        assert_eq!(end["error"]["code"], "UNAVAILABLE", "{end}");
        assert!(
            end["error"]["message"]
                .as_str()
                .unwrap()
                .contains("has not begun to answer for 400ms"),
            "{end}"
        );
        assert!(
            end["error"]["hint"]
                .as_str()
                .unwrap()
                .contains("--peer-timeout"),
            "{end}"
        );
    }
    // A socket whose connections nobody takes from the queue reads nothing of what is written to it.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let model = format!("openai:http://{}#m", deaf.local_addr().unwrap());
    let server = serve(&model, &["--peer-timeout", "400ms"], &[]);
    let much = "x".repeat(3 << 20);
    let (_, _, end) = ask(
        &server,
        &json!({"chat": {"messages": [{"role": "user", "content": much}]}}),
    );
    assert_eq!(end["error"]["code"], "UNAVAILABLE", "{end}");
}

#[test]
fn who_hangs_up_or_is_late_ends_the_question_to_the_server_at_once() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    fake.posts([vec![Act::Hold]]);
    // Time enough for the question to be on its way even on a busy machine.
    let late = server.ask(&json!({"id": 1, "generate": question(), "meta": {"timeout_ms": 1500}}));
    assert_eq!(late["error"]["code"], "DEADLINE_EXCEEDED", "{late}");
    fake.until_closed(1);
    fake.asked();
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": question()}));
    while fake.asked().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(wire);
    fake.until_closed(2);
}

#[test]
fn more_requests_than_may_wait_are_refused() {
    let fake = Fake::new();
    let server = fake.server(&["--parallel", "1", "--queue", "1"]);
    fake.posts([vec![Act::Hold]]);
    let mut wire = server.connect();
    for id in [1, 2] {
        wire.send(&json!({"id": id, "generate": question()}));
    }
    let mut asked = 0;
    while asked < 2 {
        asked += fake.asked().len();
        std::thread::sleep(Duration::from_millis(5));
    }
    let (_, _, end) = ask(&server, &question());
    assert_eq!(end["error"]["code"], "RESOURCE_EXHAUSTED", "{end}");
    assert!(
        end["error"]["hint"].as_str().unwrap().contains("--queue"),
        "{end}"
    );
}

#[test]
fn what_another_server_cannot_do_is_refused_before_it_is_asked() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    for more in [
        json!({"adapter": "a"}),
        json!({"without": ["rows"]}),
        json!({"argument_order": "sorted"}),
        json!({"sampling": {"temperature": 1, "min_p": 0.1}}),
        json!({"sampling": {"temperature": 1, "top_k": 5}}),
    ] {
        let (_, _, end) = ask(&server, &with(question(), &more));
        assert_eq!(end["error"]["code"], "UNIMPLEMENTED", "{more}: {end}");
    }
    for more in [
        json!({"tool_choice": "any"}),
        json!({"sampling": {"temperature": -1}}),
        json!({"chat": {"messages": [{"role": "nobody", "content": "x"}]}}),
        json!({"tools": [weather()[0], weather()[0]]}),
        json!({"tools": [{"name": "f", "parameters": "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"http://x/y\"}}}"}]}),
    ] {
        let (_, _, end) = ask(&server, &with(question(), &more));
        assert_eq!(end["error"]["code"], "INVALID_ARGUMENT", "{more}: {end}");
    }
    assert!(fake.asked().is_empty());
}
