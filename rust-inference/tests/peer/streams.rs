//! Streams however they are cut and ended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::{
    Act, Fake, answer, ask, call, chunked, events, head, message, piece, question, text, told, with,
};

fn hello() -> Value {
    json!({"chat": {"messages": [{"role": "user", "content": "Hello"}]}, "stream": true})
}

#[test]
fn text_is_the_same_wherever_a_stream_is_cut_and_however_its_lines_end() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let (first, second) = ("Grüße 🦀 \"zitiert\"\n", "und \u{2028} Schluß");
    let stream = events(&text(first, second));
    let streams = [
        stream.clone(),
        stream.replace('\n', "\r\n"),
        stream.replace('\n', "\r"),
        stream.replace("data: ", "data:"),
        // Comments, as some send to keep a connection alive, and other fields.
        format!(
            "\u{feff}: hello\n\n{}",
            stream.replace("data: {", ": ping\nevent: message\nid: 7\ndata: {")
        ),
        stream.replace("data: [DONE]\n\n", ""),
        // Why it ends is said with each piece, as far as it goes, or never.
        stream.replace("\"finish_reason\":null", "\"finish_reason\":\"\""),
        stream.replace("\"finish_reason\":\"stop\"", "\"finish_reason\":null"),
        stream.replace("\n\ndata: [DONE]\n\n", ""),
    ];
    for stream in streams {
        for size in [1, 2, 5, 64, 4096] {
            fake.posts([chunked(&stream, size)]);
            let (told, _, done) = ask(&server, &hello());
            let done = &done["done"];
            let whole = format!("{first}{second}");
            assert_eq!(
                (told, done["content"].as_str()),
                (whole.clone(), Some(&*whole)),
                "{stream}"
            );
            assert_eq!(
                (&done["finish_reason"], &done["usage"]["completion_tokens"]),
                (&json!("stop"), &json!(4)),
                "{stream}"
            );
        }
    }
}

#[test]
fn text_is_told_while_the_rest_is_still_being_written() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let pieces = text("First", " then");
    let stream = |chunk: &Value| Act::Send(format!("data: {chunk}\n\n").into());
    fake.posts([vec![head(), stream(&pieces[0]), Act::Hold]]);
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": hello()}));
    assert_eq!(wire.next().unwrap()["delta"]["text"], "First");
    // Who cancels is answered, and the connection closed, at once.
    wire.send(&json!({"id": 1, "cancel": {}}));
    assert_eq!(wire.answer(1).pop().unwrap()["error"]["code"], "CANCELLED");
    fake.until_closed(1);
}

#[test]
fn an_answer_that_has_ended_is_not_waited_for() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let pieces = text("All", " said");
    let chunk = |chunk: &Value| Act::Send(format!("data: {chunk}\n\n").into());
    // The last word, and a connection that stays open.
    let stays = vec![head(), Act::Send(events(&pieces).into()), Act::Hold];
    // No last word, and a connection that stays open or breaks.
    let silent = vec![
        head(),
        chunk(&pieces[0]),
        chunk(&pieces[1]),
        chunk(&pieces[2]),
        Act::Hold,
    ];
    let mut broken = silent.clone();
    broken[4] = Act::Reset;
    for (acts, known) in [(stays, true), (silent, false), (broken, false)] {
        fake.posts([acts]);
        let begun = Instant::now();
        let (_, _, done) = ask(&server, &hello());
        assert_eq!(done["done"]["content"], "All said", "{done}");
        assert_eq!(done["done"]["warnings"].is_null(), known, "{done}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_stop_text_ends_an_answer_though_the_server_writes_on() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let chunk = |chunk: &Value| Act::Send(format!("data: {chunk}\n\n").into());
    let pieces = text("one EN", "D two");
    fake.posts([vec![
        head(),
        chunk(&pieces[0]),
        chunk(&pieces[1]),
        Act::Hold,
    ]]);
    let (told, _, done) = ask(&server, &with(hello(), &json!({"stop": ["END"]})));
    assert_eq!(
        (told.as_str(), &done["done"]["content"]),
        ("one ", &json!("one "))
    );
    assert_eq!(done["done"]["finish_reason"], "stop");
    fake.until_closed(1);
    assert_eq!(fake.asked().pop().unwrap().body["stop"], json!(["END"]));
}

#[test]
fn what_a_limit_cuts_off_is_no_call_and_no_fault() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let cut = json!({"content": null, "tool_calls": [call("get_weather", r#"{"location":"Paris"}"#), call("get_weather", r#"{"loc"#)]});
    fake.posts([answer(&message(&cut, "length"))]);
    let (_, _, done) = ask(&server, &question());
    let done = &done["done"];
    assert_eq!(
        (
            &done["finish_reason"],
            done["tool_calls"].as_array().unwrap().len()
        ),
        (&json!("length"), 1)
    );
    assert!(done["warnings"].to_string().contains("cut off"), "{done}");
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn a_model_that_only_thinks_is_told_of() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    for key in ["reasoning_content", "reasoning"] {
        let stream = [
            piece(&json!({key: "Hm, hm"}), None),
            piece(&json!({}), Some("length")),
        ];
        fake.posts([chunked(&events(&stream), 50)]);
        let (told, _, done) = ask(&server, &hello());
        assert_eq!(
            (told.as_str(), &done["done"]["finish_reason"]),
            ("", &json!("length"))
        );
        assert!(
            done["done"]["warnings"]
                .to_string()
                .contains("only thought"),
            "{done}"
        );
    }
}

#[test]
fn a_stream_that_goes_wrong_ends_in_an_error_that_says_so() {
    let fake = Fake::new();
    let server = fake.server(&["--peer-timeout", "2s"]);
    let begin = || {
        vec![
            head(),
            Act::Send(format!("data: {}\n\n", text("Half", "")[0]).into()),
        ]
    };
    let then = |text: &str| [begin(), vec![Act::Send(text.into())]].concat();
    let short = Act::Send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{\"choices\":".into());
    let unfinished = Act::Send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n".into());
    for (acts, code, told_of) in [
        (begin(), "UNAVAILABLE", "in the middle"),
        (
            then(&format!(
                "data: {}\n\n",
                piece(&json!({"content": "x"}), Some(""))
            )),
            "UNAVAILABLE",
            "in the middle",
        ),
        (
            [begin(), vec![Act::Reset]].concat(),
            "UNAVAILABLE",
            "broke off",
        ),
        (
            [begin(), vec![Act::Hold]].concat(),
            "UNAVAILABLE",
            "silent in the middle",
        ),
        (vec![short], "UNAVAILABLE", "broke off"),
        (vec![unfinished], "UNAVAILABLE", "broke off"),
        (
            then("data: {\"error\":{\"message\":\"out of \\u001b[31mmemory\",\"code\":500}}\n\n"),
            "INTERNAL",
            "failed while it answered: out of  [31mmemory",
        ),
        (
            then("{\"error\":\"the model crashed\"}\n"),
            "INTERNAL",
            "the model crashed",
        ),
        (
            then("data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n"),
            "INTERNAL",
            "neither text nor a list",
        ),
        (
            then("data: {\"choices\":7}\n\n"),
            "INTERNAL",
            "not understood",
        ),
        (
            then("data: {\"choices\":[],\"choices\":[]}\n\n"),
            "INTERNAL",
            "duplicate field",
        ),
        (then("data: hello\n\n"), "INTERNAL", "not understood"),
        (then("data: \u{fffd}\n\n"), "INTERNAL", "not understood"),
        (
            then(&format!(
                "data: {}\n\n",
                piece(&json!({}), Some("content_filter"))
            )),
            "FAILED_PRECONDITION",
            "content filter",
        ),
    ] {
        fake.posts([acts]);
        let mut wire = server.connect();
        wire.send(&json!({"id": 1, "generate": hello()}));
        let (_, _, end) = told(&wire.answer(1));
        let error = &end["error"];
        assert_eq!(error["code"], code, "{end}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(told_of) && (message.contains(&fake.url)),
            "{told_of}: {end}"
        );
        assert!(!error["hint"].as_str().unwrap().is_empty(), "{end}");
    }
}

#[test]
fn one_who_trickles_is_waited_for_but_not_beyond_the_deadline() {
    let fake = Fake::new();
    let server = fake.server(&["--peer-timeout", "2s"]);
    // Each byte comes in time; all of it takes longer than one silence may.
    let slow = |stream: &str, pause: u64| {
        let bytes = stream.bytes().flat_map(move |byte| {
            [
                Act::Send(vec![byte]),
                Act::Wait(Duration::from_millis(pause)),
            ]
        });
        std::iter::once(head()).chain(bytes).collect::<Vec<_>>()
    };
    let stream = events(&text("Slow", "ly")[..3]);
    fake.posts([slow(&stream, 10)]);
    let (_, _, done) = ask(&server, &hello());
    assert_eq!(done["done"]["content"], "Slowly");
    fake.posts([slow(&stream, 1000)]);
    let begun = Instant::now();
    let late = server.ask(&json!({"id": 1, "generate": hello(), "meta": {"timeout_ms": 300}}));
    assert_eq!(late["error"]["code"], "DEADLINE_EXCEEDED", "{late}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let fake = Fake::new();
    let server = fake.server(&[]);
    let mebibyte = vec![b'x'; 1 << 20];
    let flood = |first: Act| {
        std::iter::once(first)
            .chain(std::iter::repeat_n(Act::Send(mebibyte.clone()), 40))
            .collect::<Vec<_>>()
    };
    let json =
        Act::Send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"x\":\"".into());
    let refused = Act::Send(b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n".into());
    for (acts, told_of) in [
        (flood(head()), "too large"),
        (flood(json), "no end"),
        (flood(refused), "answered 500"),
    ] {
        fake.posts([acts]);
        let (_, _, end) = ask(&server, &hello());
        let message = end["error"]["message"].as_str().unwrap();
        assert!(message.contains(told_of) && message.len() < 1000, "{end}");
    }
    // Calls without end, too.
    let calls: Vec<Value> = (0..200).map(|_| call("get_weather", "{}")).collect();
    fake.posts([answer(&message(
        &json!({"tool_calls": calls}),
        "tool_calls",
    ))]);
    let (_, _, end) = ask(&server, &question());
    assert_eq!(end["error"]["code"], "RESOURCE_EXHAUSTED", "{end}");
}
