//! Clients that are broken, slow, old or mean: each costs what it may, and nobody else anything.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::by_hand::{Front, Wire, chat, endless, post};

const CHAT: &str = "/v1/chat/completions";

fn serves(front: &Front) {
    assert_eq!(front.chat("Hello", &json!({"max_tokens": 3})).status, 200);
}

#[test]
fn garbage_is_refused_and_the_server_serves_on() {
    let front = Front::start(&[]);
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x00\x00\x05\xff\xff\xff\xff\xff",
        b"{\"id\":1,\"health\":{}}\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut wire = front.tcp();
        wire.write(garbage);
        let _ = wire.stream.get_ref().shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = wire.stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{garbage:?}: {answer}");
    }
    let mut wire = front.tcp();
    wire.send(&format!(
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    ));
    let mut answer = Vec::new();
    let _ = wire.stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431"));
    serves(&front);
}

#[test]
fn a_body_beyond_the_bound_is_refused_and_told_so() {
    let front = Front::start(&[]);
    let large = chat(&"x".repeat(5 << 20), &json!({}));
    let error = front.post(CHAT, &large).error(413);
    assert!(
        error["message"].as_str().unwrap().contains("4194304"),
        "{error}"
    );
    // The same without a length beforehand.
    let mut wire = front.unix();
    wire.send(&format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    for _ in 0..5 {
        wire.send(&chunk);
    }
    wire.send("0\r\n\r\n");
    wire.answer().error(413);
    // One that is said to be larger than anybody would throw away is not waited for.
    let mut wire = front.tcp();
    wire.send(&format!("POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"));
    wire.answer().error(413);
    let fits = chat(&"x".repeat(3 << 20), &json!({}));
    assert_eq!(
        front.post(CHAT, &fits).error(400)["code"],
        "context_length_exceeded"
    );
}

#[test]
fn who_hangs_up_frees_the_model() {
    let front = Front::start(&["--parallel", "1"]);
    for stream in [true, false] {
        let mut body = endless();
        body["stream"] = json!(stream);
        let mut wire = front.tcp();
        wire.send(&post(CHAT, &chat("Hello", &body)));
        front.server.until("running", "1");
        let since = Instant::now();
        drop(wire);
        front.server.until("running", "0");
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{:?}",
            since.elapsed()
        );
    }
    serves(&front);
}

#[test]
fn a_slow_reader_gets_all_and_holds_nobody_up() {
    let front = Front::start(&[]);
    let mut slow = front.unix();
    // More than the system takes of what nobody reads.
    let mut body = endless();
    body["n"] = json!(8);
    body["max_tokens"] = json!(250);
    slow.send(&post(CHAT, &chat("Hello", &body)));
    assert_eq!(slow.head().0, 200);
    // Nothing of it is read, and the model is free all the same.
    front.server.until("running", "0");
    serves(&front);
    let mut text = Vec::new();
    while let Some(chunk) = slow.chunk() {
        text.extend(chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn an_old_client_is_answered_until_the_connection_ends() {
    let front = Front::start(&[]);
    let mut wire = front.tcp();
    wire.send("GET /health HTTP/1.0\r\n\r\n");
    let answer = wire.answer();
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (200, Some("SERVING"))
    );
    assert!(wire.is_closed());
    let body = chat("Hello", &json!({"stream": true})).to_string();
    let mut wire = front.tcp();
    wire.send(&format!(
        "POST {CHAT} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = wire.answer();
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.data().last().map(String::as_str), Some("[DONE]"));
}

#[test]
fn a_connection_serves_one_request_after_the_other_written_at_once_or_not() {
    let front = Front::start(&[]);
    let mut wire = front.tcp();
    let one = |more| post(CHAT, &chat("Hello, who are you?", &more));
    for _ in 0..3 {
        wire.send(&one(json!({})));
        assert_eq!(wire.answer().status, 200);
    }
    wire.send(&format!(
        "{}{}{}",
        one(json!({})),
        one(json!({"stream": true})),
        one(json!({"magic": 1}))
    ));
    assert_eq!(wire.answer().status, 200);
    assert_eq!(
        wire.answer().data().last().map(String::as_str),
        Some("[DONE]")
    );
    wire.answer().error(400);
    // What goes wrong with one does not end the connection.
    wire.send(&one(json!({})));
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn a_request_in_crumbs_is_read() {
    let front = Front::start(&[]);
    let mut wire = front.tcp();
    wire.stream.get_ref().set_nodelay(true).unwrap();
    for crumb in post(CHAT, &chat("Hello", &json!({}))).as_bytes().chunks(3) {
        wire.stream.get_mut().write_all(crumb).unwrap();
    }
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn who_says_that_he_waits_for_leave_to_go_on_is_given_it() {
    let front = Front::start(&[]);
    let body = chat("Hello", &json!({})).to_string();
    let mut wire: Wire<_> = front.tcp();
    wire.send(&format!(
        "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(wire.head().0, 100);
    wire.send(&body);
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn connections_beyond_the_bound_wait_until_another_goes() {
    let front = Front::start(&[]);
    let mut wires: Vec<_> = (0..512).map(|_| front.tcp()).collect();
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // The last of them was let in, so all were.
    wires.last_mut().unwrap().send(health);
    assert_eq!(wires.last_mut().unwrap().answer().status, 200);
    let mut waiting = front.tcp();
    waiting.send(health);
    let soon = Some(Duration::from_millis(200));
    waiting.stream.get_ref().set_read_timeout(soon).unwrap();
    assert!(waiting.stream.read(&mut [0]).is_err(), "it was not bound");
    // The other door is not in its way.
    let mut other = front.unix();
    other.send(health);
    assert_eq!(other.answer().status, 200);
    wires.pop();
    let long = Some(crate::common::PATIENCE);
    waiting.stream.get_ref().set_read_timeout(long).unwrap();
    assert_eq!(waiting.answer().status, 200);
}
