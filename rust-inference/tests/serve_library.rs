//! The running program as programs use it: through the client library, in binary frames, and in the middle of answers
//! that would go on for long. What is typed by hand has its tests in `serve_answers.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use common::{PATIENCE, Server};
use ipc::{
    Status,
    client::{Call, Client},
    codec::{self, Decoder, Encoding},
    proto::{
        Chat, Code, Delta, Done, Frame, Generate, Message, Meta, Ping, Tool, frame::Body,
        generate::Input,
    },
};
use tokio_util::{bytes::BytesMut, codec::Decoder as _};

/// One that cuts no answer short: what goes on for long can be interrupted.
fn server() -> Server {
    Server::start(&["--threads", "1", "--max-tokens", "100000"])
}

async fn client(server: &Server) -> Client {
    Client::connect(&server.socket).await.unwrap()
}

/// Greedy, the model repeats itself until its context is full: thousands of tokens.
fn endless() -> Generate {
    Generate {
        input: Some(Input::Prompt("<bos>==========".to_owned())),
        stream: true,
        ..Generate::default()
    }
}

fn conversion() -> Generate {
    let message = Message {
        role: "user".to_owned(),
        content: "How many miles is 12 km?".to_owned(),
        ..Message::default()
    };
    let tool = common::convert_units();
    let text = |field: &str| tool[field].as_str().unwrap().to_owned();
    Generate {
        input: Some(Input::Chat(Chat {
            messages: vec![message],
        })),
        tools: vec![Tool {
            name: text("name"),
            description: text("description"),
            parameters: tool["parameters"].to_string(),
        }],
        ..Generate::default()
    }
}

async fn begin(client: &Client, asked: Generate, timeout_ms: u32) -> Call {
    let meta = Meta {
        timeout_ms,
        ..Meta::default()
    };
    client.call(Body::Generate(asked), meta).await.unwrap()
}

async fn next(call: &mut Call) -> Result<Body, Status> {
    let next = tokio::time::timeout(PATIENCE, call.next()).await;
    next.unwrap().unwrap()
}

/// All deltas in one, and the end.
async fn ended(call: &mut Call) -> (Delta, Result<Done, Status>) {
    let mut whole = Delta::default();
    loop {
        match next(call).await {
            Ok(Body::Delta(delta)) => {
                whole.text.push_str(&delta.text);
                whole.tool_calls.extend(delta.tool_calls);
            }
            Ok(Body::Done(done)) => return (whole, Ok(done)),
            Ok(other) => panic!("{other:?}"),
            Err(status) => return (whole, Err(status)),
        }
    }
}

async fn done(client: &Client, asked: Generate) -> Done {
    ended(&mut begin(client, asked, 0).await).await.1.unwrap()
}

/// The first word is there, and many are to come.
async fn in_full_flow(client: &Client, timeout_ms: u32) -> Call {
    let mut call = begin(client, endless(), timeout_ms).await;
    let first = next(&mut call).await;
    assert!(matches!(first, Ok(Body::Delta(_))), "{first:?}");
    call
}

async fn serves(server: &Server) {
    let done = done(&client(server).await, conversion()).await;
    assert_eq!(done.finish_reason, "tool_calls");
}

// Two threads, because the helpers block.
#[tokio::test(flavor = "multi_thread")]
async fn the_pieces_of_a_stream_are_the_whole_answer() {
    let server = server();
    let client = client(&server).await;
    for (asked, reason) in [(conversion(), "tool_calls"), (endless(), "length")] {
        let asked = |stream| Generate {
            max_tokens: 50,
            stream,
            ..asked.clone()
        };
        let whole = done(&client, asked(false)).await;
        assert_eq!(whole.finish_reason, reason);
        let (pieces, end) = ended(&mut begin(&client, asked(true), 0).await).await;
        assert_eq!(pieces.text, whole.content);
        assert_eq!(pieces.tool_calls, whole.tool_calls);
        let end = end.unwrap();
        assert_eq!(end.content, whole.content);
        assert_eq!(end.tool_calls, whole.tool_calls);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_limit_cuts_off_is_no_call() {
    let server = server();
    let client = client(&server).await;
    let whole = done(&client, conversion()).await.usage.unwrap();
    let (mut cut, mut shorter) = (0, 0);
    // Until just before the call's last token.
    for max_tokens in 1..whole.completion_tokens {
        for tool_choice in ["auto", "required"] {
            let asked = Generate {
                max_tokens,
                stream: true,
                tool_choice: tool_choice.to_owned(),
                ..conversion()
            };
            let (pieces, end) = ended(&mut begin(&client, asked, 0).await).await;
            let end = end.unwrap();
            assert_eq!((pieces.text, end.error), (end.content, None));
            assert_eq!(pieces.tool_calls, end.tool_calls);
            if end.tool_calls.is_empty() {
                // Where a call has no room it is not begun, unless there must be one.
                let reason = end.finish_reason.as_str();
                assert!(reason == "length" || (tool_choice == "auto" && reason == "stop"));
                let told = end
                    .warnings
                    .iter()
                    .any(|warning| warning.contains("cut off"));
                assert_eq!(told, tool_choice == "required", "{max_tokens}");
                cut += 1;
            } else {
                // Or the shortest one that there can be.
                assert_eq!(
                    end.finish_reason, "tool_calls",
                    "{max_tokens} {tool_choice}"
                );
                shorter += 1;
            }
        }
    }
    assert!(cut > 2 && shorter > 2, "{cut} cut, {shorter} shorter");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_full_flow_stops_when_told() {
    let server = server();
    let client = client(&server).await;
    let mut call = in_full_flow(&client, 0).await;
    call.stop();
    let status = ended(&mut call).await.1.unwrap_err();
    assert_eq!(status.code, Code::Cancelled, "{status}");
    // Nobody holds the call any more.
    let call = in_full_flow(&client, 0).await;
    let since = Instant::now();
    drop(call);
    server.until("running", "0");
    assert!(since.elapsed() < Duration::from_secs(2));
    let mut call = in_full_flow(&client, 300).await;
    let status = ended(&mut call).await.1.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    server.until("running", "0");
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_in_full_flow_frees_the_model() {
    let server = server();
    let mut wire = server.connect();
    wire.send(&serde_json::json!({"id": 1, "generate": {
        "prompt": "<bos>==========", "stream": true}}));
    assert!(wire.next().unwrap()["delta"].is_object());
    let since = Instant::now();
    drop(wire);
    server.until("running", "0");
    assert!(since.elapsed() < Duration::from_secs(2));
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_ends_its_clients_calls() {
    let mut server = server();
    let mut call = in_full_flow(&client(&server).await, 0).await;
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let status = ended(&mut call).await.1.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_gives_who_waits_an_end_too() {
    let mut server = server();
    let client = client(&server).await;
    let mut calls = vec![in_full_flow(&client, 0).await];
    // More than are worked on at once, and than can be finished in the seconds that are left.
    for _ in 0..35 {
        calls.push(begin(&client, endless(), 0).await);
    }
    server.until("waiting", "20");
    let since = Instant::now();
    server.terminate();
    let mut ends = Vec::new();
    for call in &mut calls {
        ends.push(ended(call).await.1);
    }
    for status in ends.iter().filter_map(|end| end.as_ref().err()) {
        assert_eq!(status.code, Code::Unavailable, "{status}");
    }
    assert!(ends.last().unwrap().is_err(), "{ends:?}");
    let status = loop {
        if let Some(status) = server.process.try_wait().unwrap() {
            break status;
        }
        assert!(since.elapsed() < Duration::from_secs(15), "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(status.success(), "{status}");
    assert!(!server.socket.exists());
}

/// A connection in binary frames.
struct Binary(UnixStream, BytesMut);

impl Binary {
    fn connect(server: &Server) -> Self {
        let stream = UnixStream::connect(&server.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream, BytesMut::new())
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next frame; nothing if the server has closed the connection.
    fn next(&mut self) -> Option<(u32, Body)> {
        let mut decoder = Decoder::new(Encoding::Binary, 1 << 20);
        loop {
            if let Some(item) = decoder.decode(&mut self.1).unwrap() {
                let frame = item.unwrap().frame;
                return Some((frame.id, frame.body.unwrap()));
            }
            let mut bytes = [0; 4096];
            let got = self.0.read(&mut bytes).unwrap();
            if got == 0 {
                return None;
            }
            self.1.extend_from_slice(&bytes[..got]);
        }
    }

    fn refused(&mut self) -> (u32, Code) {
        match self.next() {
            Some((id, Body::Error(error))) => {
                assert!(!error.message.is_empty());
                (id, error.code())
            }
            other => panic!("{other:?}"),
        }
    }

    fn lives(&mut self) {
        let mut frame = BytesMut::new();
        let ping = Frame::new(77, Body::Ping(Ping::default()));
        codec::encode(&ping, Encoding::Binary, &mut frame).unwrap();
        self.write(&frame);
        assert!(matches!(self.next(), Some((77, Body::Pong(_)))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_binary_frames_are_refused_and_only_lost_framing_ends_the_connection() {
    let server = server();
    let mut wire = Binary::connect(&server);
    // Id 5, and a generate that says it is longer than the frame.
    wire.write(&[0, 0, 0, 4, 0x08, 5, 0x1a, 100]);
    assert_eq!(wire.refused(), (5, Code::InvalidArgument));
    wire.lives();
    // Id 5, and a generate whose prompt is not UTF-8.
    wire.write(&[0, 0, 0, 7, 0x08, 5, 0x1a, 3, 0x12, 1, 0xff]);
    assert_eq!(wire.refused(), (5, Code::InvalidArgument));
    wire.lives();
    // Id 5, and a megabyte more than is accepted.
    let length: u32 = 5 << 20;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([0x08, 5]);
    frame.resize(4 + length as usize, 0);
    wire.write(&frame);
    assert_eq!(wire.refused(), (5, Code::ResourceExhausted));
    wire.lives();
    // A length that no frame has.
    wire.write(&[0xff; 4]);
    assert_eq!(wire.refused(), (0, Code::InvalidArgument));
    assert!(wire.next().is_none(), "where would the next frame begin?");
    // The end in the middle of a frame.
    let mut wire = Binary::connect(&server);
    wire.write(&[0, 0, 0, 9, 0x08]);
    wire.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire.refused(), (0, Code::InvalidArgument));
    assert!(wire.next().is_none());
    serves(&server).await;
}
