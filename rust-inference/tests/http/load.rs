//! Many at once, a full queue, and the server's end.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::by_hand::{Front, chat, endless, post};

const CHAT: &str = "/v1/chat/completions";

/// The text of a stream.
fn text(events: &[Value]) -> String {
    let pieces = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    pieces.collect()
}

#[test]
fn a_hundred_streams_at_once_are_each_what_it_would_be_alone() {
    let front = Front::start(&["--queue", "100"]);
    let alone = text(&front.stream("Hello, who are you?", &json!({})));
    assert!(!alone.is_empty());
    thread::scope(|scope| {
        let streams: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| text(&front.stream("Hello, who are you?", &json!({})))))
            .collect();
        for stream in streams {
            assert_eq!(stream.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let front = Front::start(&["--parallel", "1", "--queue", "1"]);
    let mut wires = Vec::new();
    for (name, value) in [("running", "1"), ("waiting", "1")] {
        let mut wire = front.tcp();
        wire.send(&post(CHAT, &chat("Hello", &endless())));
        front.server.until(name, value);
        wires.push(wire);
    }
    for stream in [false, true] {
        let answer = front.chat("Hello", &json!({"stream": stream}));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        let millis: u64 = answer.header("retry-after-ms").unwrap().parse().unwrap();
        assert!(seconds >= 1 && millis.div_ceil(1000) == seconds);
        let error = answer.error(429);
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("rate_limit_error"), &json!("rate_limit_exceeded"))
        );
    }
}

#[test]
fn a_stream_under_way_is_finished_when_the_server_is_told_to_end() {
    let mut front = Front::start(&[]);
    let mut wire = front.unix();
    wire.send(&post(
        CHAT,
        &chat("Hello, who are you?", &json!({"stream": true})),
    ));
    assert_eq!(wire.head().0, 200);
    let mut idle = front.tcp();
    idle.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(idle.answer().status, 200);
    front.server.terminate();
    let mut text = Vec::new();
    while let Some(chunk) = wire.chunk() {
        text.extend(chunk);
    }
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    assert!(idle.is_closed());
    assert!(front.server.process.wait().unwrap().success());
    assert!(!front.server.room.path().join("h").exists());
}

#[test]
fn a_stream_that_has_no_end_in_sight_is_told_why_it_ends() {
    let mut front = Front::start(&["--threads", "1"]);
    // More than can be written in the seconds that are left.
    let mut wires: Vec<_> = (0..40)
        .map(|_| {
            let mut wire = front.tcp();
            wire.send(&post(CHAT, &chat("Hello", &endless())));
            wire
        })
        .collect();
    front.server.until("waiting", "24");
    let since = Instant::now();
    front.server.terminate();
    let mut told = 0;
    for wire in &mut wires {
        let answer = wire.answer();
        let cut = answer.status == 503 || answer.body.contains("\"unavailable\"");
        assert!(
            cut || answer.body.ends_with("data: [DONE]\n\n"),
            "{answer:?}"
        );
        told += usize::from(cut);
    }
    assert!(told > 0, "all had their time");
    assert!(front.server.process.wait().unwrap().success());
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
}
