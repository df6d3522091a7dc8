//! What bad input gets, over real sockets: an error with a code and an id, and a connection that lives on wherever its
//! framing is intact.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{path::Path, time::Duration};

use bytes::BytesMut;
use common::{Server, count, prompt, text};
use ipc::{
    client::Client,
    codec::{self, Decoder, Encoding, json},
    frame::BODY_NAMES,
    proto::{self, Code, Frame, Meta, frame::Body},
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};
use tokio_util::codec::Decoder as _;

/// Writes all of `bytes`, says that this is all, and gives what came back until the server closed.
async fn raw(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), async {
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
    })
    .await
    .expect("no answer in 20 s");
    answer
}

async fn lines(path: &Path, text: &str) -> Vec<Frame> {
    let answer = String::from_utf8(raw(path, text.as_bytes()).await).unwrap();
    answer
        .lines()
        .map(|line| json::decode_strict(line).unwrap())
        .collect()
}

async fn binary(path: &Path, bytes: &[u8]) -> Vec<Frame> {
    let mut answer = BytesMut::from(&raw(path, bytes).await[..]);
    let mut decoder = Decoder::new(Encoding::Binary, 1 << 24);
    std::iter::from_fn(|| decoder.decode_eof(&mut answer).unwrap())
        .map(|item| item.unwrap().frame)
        .collect()
}

fn error(frame: &Frame) -> (u32, Code, String) {
    let Some(Body::Error(error)) = &frame.body else {
        panic!("{frame:?}")
    };
    (frame.id, error.code(), error.message.clone())
}

fn is_pong(frame: &Frame, id: u32) -> bool {
    frame.id == id && matches!(frame.body, Some(Body::Pong(_)))
}

#[tokio::test]
async fn a_bad_line_is_answered_and_the_next_is_served() {
    let server = Server::start();
    let bad = [
        (
            "{\"id\":1,\"ping\":{}",
            0,
            Code::InvalidArgument,
            "line 1, column 17",
        ),
        (
            "{\"id\":4,\"ping\":[]}",
            4,
            Code::InvalidArgument,
            "line 1, column",
        ),
        (
            "{\"id\":4,\"frobnicate\":{}}",
            4,
            Code::Unimplemented,
            "frobnicate",
        ),
        ("{\"id\":4}", 4, Code::Unimplemented, "missing method"),
        (
            "{\"id\":4,\"list_tools\":{}}",
            4,
            Code::Unimplemented,
            "list_tools",
        ),
        ("{\"id\":4,\"done\":{}}", 4, Code::Unimplemented, "done"),
        ("{\"ping\":{}}", 0, Code::InvalidArgument, "without an id"),
        ("{\"id\":0,\"ping\":{}}", 0, Code::InvalidArgument, "id 0"),
        (
            "{\"id\":9,\"cancel\":{}}",
            9,
            Code::NotFound,
            "no request 9",
        ),
        (
            "{\"id\":2,\"tool_decision\":{}}",
            2,
            Code::NotFound,
            "no question 2",
        ),
    ];
    for (line, id, code, words) in bad {
        let answers = lines(
            &server.path,
            &format!("{line}\n\r\n{{\"id\":3,\"ping\":{{}}}}\r\n"),
        )
        .await;
        assert_eq!(answers.len(), 2, "{line}: {answers:?}");
        let (got_id, got, message) = error(&answers[0]);
        assert_eq!((got_id, got), (id, code), "{line}: {message}");
        assert!(message.contains(words), "{line}: {message}");
        assert!(is_pong(&answers[1], 3));
    }
    let long = format!(
        "{{\"id\":1,\"ping\":{{\"payload\":\"{}\"}}}}\n{{\"id\":3,\"ping\":{{}}}}",
        "x".repeat(3 << 20)
    );
    let answers = lines(&server.path, &long).await;
    assert_eq!(error(&answers[0]).1, Code::ResourceExhausted);
    assert!(is_pong(&answers[1], 3), "also without a last newline");
    let utf8 = raw(
        &server.path,
        b"{\"id\":1,\"ping\":{\"payload\":\"\xff\"}}\n{\"id\":3,\"ping\":{}}\n",
    )
    .await;
    let utf8 = String::from_utf8(utf8).unwrap();
    assert!(
        utf8.contains("line 1, column 28: not UTF-8") && utf8.contains("pong"),
        "{utf8}"
    );
}

#[tokio::test]
async fn a_bad_binary_frame_is_answered_in_binary() {
    let server = Server::start();
    let mut good = BytesMut::new();
    codec::encode(
        &Frame::new(3, Body::Ping(proto::Ping::default())),
        Encoding::Binary,
        &mut good,
    )
    .unwrap();
    let undecodable = [&[0, 0, 0, 4, 8, 77, 0x4a, 9][..], &good].concat();
    let answers = binary(&server.path, &undecodable).await;
    assert_eq!(error(&answers[0]).0, 77);
    assert!(is_pong(&answers[1], 3));
    let mut oversized = vec![0, 0x20, 0, 0, 8, 5];
    oversized.resize(4 + (0x20 << 16), 0);
    let answers = binary(&server.path, &[&oversized, &good[..]].concat()).await;
    let (id, code, message) = error(&answers[0]);
    assert_eq!((id, code), (5, Code::ResourceExhausted));
    assert!(
        message.contains("2097152") && message.contains("1048576"),
        "{message}"
    );
    assert!(is_pong(&answers[1], 3));
    let lost = binary(&server.path, &[&good[..], &[9, 9, 9, 9], &good].concat()).await;
    assert!(is_pong(&lost[0], 3) && lost.len() == 2);
    assert_eq!(error(&lost[1]).1, Code::InvalidArgument);
    let truncated = binary(&server.path, &good[..good.len() - 1]).await;
    assert!(error(&truncated[0]).2.contains("ended within a frame"));
    let unknown = binary(&server.path, &[0, 0, 0, 6, 8, 5, 0xc2, 0x3e, 1, 0]).await;
    assert_eq!(error(&unknown[0]).1, Code::Unimplemented);
}

#[tokio::test]
async fn strangers_are_told_what_this_is() {
    let server = Server::start();
    let page =
        String::from_utf8(raw(&server.path, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await).unwrap();
    assert!(
        page.starts_with("HTTP/1.1 400 Bad Request\r\n") && page.contains("help!"),
        "{page}"
    );
    let body = page.split("\r\n\r\n").nth(1).unwrap();
    assert!(page.contains(&format!("Content-Length: {}\r\n", body.len())));
    let refusal = String::from_utf8(raw(&server.path, b"\x16\x03\x01rubbish").await).unwrap();
    assert!(
        refusal.lines().count() == 1 && refusal.contains("not a Callspan frame"),
        "{refusal}"
    );
    assert!(raw(&server.path, b"").await.is_empty());
}

#[tokio::test]
async fn an_id_in_use_is_refused_on_the_connection_and_the_request_goes_on() {
    let server = Server::start();
    let twice = "{\"id\":1,\"generate\":{\"prompt\":\"sleep 200\"}}\n{\"id\":1,\"ping\":{}}\n";
    let answers = lines(&server.path, twice).await;
    let (id, code, message) = error(&answers[0]);
    assert_eq!((id, code), (0, Code::AlreadyExists));
    assert!(message.contains("request 1 "), "{message}");
    assert!(
        answers[1].id == 1 && matches!(answers[1].body, Some(Body::Done(_))),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = Server::start();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let line = format!(
        "{{\"id\":1,\"generate\":{{\"prompt\":\"sleep 700\"}},\"meta\":{{\"traceparent\":\"{trace}\"}}}}\n\
         {{\"id\":3,\"call_tool\":{{\"arguments\":{{\"b\":1,\"a\":18446744073709551616}},\"odd\":1}}}}"
    );
    let answers = lines(&server.path, &line).await;
    let Some(Body::ToolResult(result)) = &answers[0].body else {
        panic!("{answers:?}")
    };
    assert_eq!(
        (result.result.as_str(), result.stderr.as_str()),
        ("{\"b\":1,\"a\":18446744073709551616}", "call_tool.odd")
    );
    assert!(matches!(answers[1].body, Some(Body::Done(_))));
    assert_eq!(answers[1].meta.as_ref().unwrap().traceparent, trace);
}

#[tokio::test]
async fn a_service_that_panics_or_forgets_costs_its_own_request_only() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    for what in ["panic", "forget"] {
        let status = client.ask(prompt(what), Meta::default()).await.unwrap_err();
        assert_eq!(status.code, Code::Internal, "{status}");
    }
    let Body::Done(done) = client.ask(count(3), Meta::default()).await.unwrap() else {
        panic!()
    };
    assert_eq!(done.content, text(3));
}

#[tokio::test]
async fn every_body_as_a_request_gets_exactly_one_terminal_answer() {
    let server = Server::start();
    for name in BODY_NAMES {
        let answers = lines(&server.path, &format!("{{\"id\":1,\"{name}\":{{}}}}\n")).await;
        assert_eq!(answers.len(), 1, "{name}: {answers:?}");
        assert!(
            answers[0].body.as_ref().unwrap().is_terminal(),
            "{name}: {answers:?}"
        );
    }
}

#[tokio::test]
async fn hundreds_of_damaged_connections_leave_the_server_alive() {
    let server = Server::start();
    let mut runner = TestRunner::deterministic();
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    let golden = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/golden.jsonl"
    ))
    .unwrap();
    let golden: Vec<serde_json::Value> = golden
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for round in 0..400 {
        let vector = &golden[round % golden.len()];
        let line = vector["json"].as_str().unwrap();
        let mut bytes = BytesMut::new();
        let encoding = if round % 2 == 0 {
            Encoding::Binary
        } else {
            Encoding::JsonLines
        };
        codec::encode(&json::decode(line).unwrap(), encoding, &mut bytes).unwrap();
        for (at, byte) in edits.new_tree(&mut runner).unwrap().current() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Past the first byte, so that most of them get by the detection.
        bytes[0] = if encoding == Encoding::Binary {
            0
        } else {
            b'{'
        };
        raw(&server.path, &bytes).await;
    }
    let client = Client::connect(&server.path).await.unwrap();
    client
        .ask(Body::Ping(proto::Ping::default()), Meta::default())
        .await
        .unwrap();
}
