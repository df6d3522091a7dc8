//! Many requests, slow readers, endings: what one client does costs no other.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use common::{Server, count, prompt, text};
use ipc::{
    client::{Call, Client, ClientError},
    codec::{self, Decoder, Encoding},
    proto::{self, Code, Frame, Meta, frame::Body},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};
use tokio_util::codec::Decoder as _;

async fn read_all(mut call: Call) -> (String, Body) {
    let mut got = String::new();
    loop {
        match call.next().await.unwrap().unwrap() {
            Body::Delta(delta) => got.push_str(&delta.text),
            body => return (got, body),
        }
    }
}

async fn until(what: &str, counter: &AtomicUsize, value: usize) {
    let reached = async {
        while counter.load(Ordering::SeqCst) != value {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(10), reached).await.is_ok(),
        "{what}: {counter:?}, not {value}"
    );
}

fn limit(timeout_ms: u32) -> Meta {
    Meta {
        timeout_ms,
        ..Meta::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_multiplex_fifty_requests_each() {
    let server = Server::start();
    let mut tasks = Vec::new();
    for encoding in [Encoding::Binary, Encoding::JsonLines] {
        let client = Client::connect_with(&server.path, encoding, Duration::from_secs(5))
            .await
            .unwrap();
        for n in 0..50 {
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                let call = client.call(count(n), Meta::default()).await.unwrap();
                let (got, body) = read_all(call).await;
                let Body::Done(done) = body else {
                    panic!("{body:?}")
                };
                assert_eq!((&got, &done.content), (&text(n), &text(n)));
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    until("running", &server.service.running, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_stalls_neither_the_producer_nor_others() {
    let server = Server::start();
    let mut slow = UnixStream::connect(&server.path).await.unwrap();
    slow.write_all(b"{\"id\":1,\"generate\":{\"prompt\":\"flood 3000\"}}\n")
        .await
        .unwrap();
    // 3 MiB are produced to the end while nobody reads: more than the socket holds, less than the limit.
    until("flooded", &server.service.flooded, 3000).await;
    let client = Client::connect(&server.path).await.unwrap();
    let started = Instant::now();
    client.ask(count(100), Meta::default()).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    // Nothing was lost, and what waited was merged into few frames.
    slow.shutdown().await.unwrap();
    let mut all = String::new();
    slow.read_to_string(&mut all).await.unwrap();
    assert_eq!(all.matches('~').count(), 3000 << 10);
    assert!(all.lines().last().unwrap().contains("\"done\""));
    assert!(all.lines().count() < 1000, "{} frames", all.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_is_cut_off_at_a_bound() {
    let server = Server::start();
    let mut slow = UnixStream::connect(&server.path).await.unwrap();
    slow.write_all(
        b"{\"id\":1,\"generate\":{\"prompt\":\"flood 20000\"}}\n{\"id\":3,\"ping\":{}}\n",
    )
    .await
    .unwrap();
    until("flooded", &server.service.flooded, 20_000).await;
    slow.shutdown().await.unwrap();
    let mut all = String::new();
    slow.read_to_string(&mut all).await.unwrap();
    assert!(
        all.len() < 6 << 20,
        "20 MiB were produced, {} were kept",
        all.len()
    );
    let error = all.lines().find(|line| line.contains("\"error\"")).unwrap();
    assert!(
        error.contains("RESOURCE_EXHAUSTED") && error.starts_with("{\"id\":1,"),
        "{error}"
    );
    assert!(all.contains("\"pong\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_much_before_reading_does_not_deadlock() {
    let server = Server::start();
    let payload = "y".repeat(64 << 10);
    let ping = |n: u32| {
        Body::Ping(proto::Ping {
            payload: format!("{n}{payload}"),
        })
    };
    // By hand: all is written before anything is read.
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    let mut bytes = BytesMut::new();
    for n in 0..64 {
        codec::encode(&Frame::new(n + 1, ping(n)), Encoding::Binary, &mut bytes).unwrap();
    }
    timeout(Duration::from_secs(10), stream.write_all(&bytes))
        .await
        .expect("hung")
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .expect("hung")
        .unwrap();
    let (mut answer, mut decoder) = (
        BytesMut::from(&answer[..]),
        Decoder::new(Encoding::Binary, 1 << 20),
    );
    for n in 0..64 {
        assert_eq!(
            decoder
                .decode(&mut answer)
                .unwrap()
                .unwrap()
                .unwrap()
                .frame
                .id,
            n + 1
        );
    }
    // By the client library, ten times as much: calls first, answers after.
    let client = Client::connect(&server.path).await.unwrap();
    let mut calls = Vec::new();
    for n in 0..640 {
        calls.push(
            timeout(
                Duration::from_secs(10),
                client.call(ping(n), Meta::default()),
            )
            .await
            .expect("hung")
            .unwrap(),
        );
    }
    for (n, mut call) in calls.into_iter().enumerate() {
        let Some(Ok(Body::Pong(pong))) = call.next().await else {
            panic!()
        };
        assert_eq!(pong.payload, format!("{n}{payload}"));
    }
}

#[tokio::test]
async fn a_cancelled_request_stops_and_says_so() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let mut call = client.call(prompt("hang"), Meta::default()).await.unwrap();
    until("running", &server.service.running, 1).await;
    call.stop();
    let status = call.next().await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Cancelled);
    assert!(call.next().await.is_none());
    // Dropping is cancelling.
    let call = client.call(prompt("hang"), Meta::default()).await.unwrap();
    until("running", &server.service.running, 1).await;
    drop(call);
    until("stopped", &server.service.stopped, 2).await;
}

#[tokio::test]
async fn hanging_up_cancels() {
    let server = Server::start();
    // Before its last word, after it, and by dropping the client.
    for half_closed in [false, true] {
        let mut stream = UnixStream::connect(&server.path).await.unwrap();
        stream
            .write_all(b"{\"id\":1,\"generate\":{\"prompt\":\"hang\"}}\n")
            .await
            .unwrap();
        if half_closed {
            stream.shutdown().await.unwrap();
        }
        until("running", &server.service.running, 1).await;
        sleep(Duration::from_millis(50)).await;
        assert_eq!(
            server.service.running.load(Ordering::SeqCst),
            1,
            "no hang-up, no cancel"
        );
        drop(stream);
        until("running", &server.service.running, 0).await;
    }
    let client = Client::connect(&server.path).await.unwrap();
    let call = client.call(prompt("hang"), Meta::default()).await.unwrap();
    until("running", &server.service.running, 1).await;
    drop((client, call));
    until("stopped", &server.service.stopped, 3).await;
}

#[tokio::test]
async fn a_deadline_ends_even_a_service_that_does_not_listen() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    for what in ["hang", "deaf"] {
        let started = Instant::now();
        let status = client.ask(prompt(what), limit(100)).await.unwrap_err();
        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
        let took = started.elapsed();
        assert!(
            (Duration::from_millis(95)..Duration::from_millis(1500)).contains(&took),
            "{took:?}"
        );
    }
    assert_eq!(server.service.stopped.load(Ordering::SeqCst), 1);
    client.ask(count(1), limit(5000)).await.unwrap();
}

#[tokio::test]
async fn too_many_requests_on_a_connection_are_refused() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..256 {
        calls.push(client.call(prompt("hang"), Meta::default()).await.unwrap());
    }
    let status = client.ask(count(1), Meta::default()).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    assert!(status.retry_after_ms > 0);
    // Health is answered nonetheless, and other connections are served.
    client
        .ask(Body::Health(proto::Health {}), Meta::default())
        .await
        .unwrap();
    Client::connect(&server.path)
        .await
        .unwrap()
        .ask(count(1), Meta::default())
        .await
        .unwrap();
    drop(calls);
    until("running", &server.service.running, 0).await;
    client.ask(count(1), Meta::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_asks_its_client_and_fails_closed() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let Body::Done(done) = client.ask(prompt("ask"), limit(5000)).await.unwrap() else {
        panic!()
    };
    assert!(
        done.content.starts_with("deny: "),
        "nobody listens: {}",
        done.content
    );
    let mut asks = client.asks();
    let call = client.call(prompt("ask"), limit(5000)).await.unwrap();
    let ask = asks.recv().await.unwrap();
    assert_eq!(
        (ask.request.kind.as_str(), ask.request.parent_id),
        ("approval", call.id())
    );
    ask.decide(proto::ToolDecision {
        verdict: "allow".into(),
        reason: "safe".into(),
        ..Default::default()
    });
    let (_, Body::Done(done)) = read_all(call).await else {
        panic!()
    };
    assert_eq!(done.content, "allow: safe");
    // Never deciding is bounded by the deadline.
    let status = client.ask(prompt("ask"), limit(100)).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded);
}

#[tokio::test]
async fn shutdown_says_go_away_finishes_what_is_under_way_and_removes_the_socket() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let mut raw = UnixStream::connect(&server.path).await.unwrap();
    raw.write_all(b"{\"id\":1,\"generate\":{\"prompt\":\"sleep 300\"}}\n")
        .await
        .unwrap();
    let call = client
        .call(prompt("sleep 300"), Meta::default())
        .await
        .unwrap();
    until("running", &server.service.running, 2).await;
    server.shutdown.cancel();
    let (_, body) = read_all(call).await;
    assert!(matches!(body, Body::Done(_)), "{body:?}");
    let mut heard = String::new();
    raw.read_to_string(&mut heard).await.unwrap();
    assert!(
        heard.starts_with("{\"go_away\":") && heard.contains("slept"),
        "{heard}"
    );
    timeout(Duration::from_secs(3), server.task)
        .await
        .expect("the server did not end")
        .unwrap();
    assert!(!server.path.exists());
    let status = client.ask(count(1), Meta::default()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(matches!(
        Client::connect(&server.path).await,
        Err(ClientError::Connect { .. })
    ));
}

#[tokio::test]
async fn a_peer_that_goes_ends_every_call_with_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let client = Client::connect(&path).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(client.call(count(1), Meta::default()).await.unwrap());
    }
    // A server that hangs is bounded by the call's own limit.
    let status = client.ask(count(1), limit(1)).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded);
    drop(stream);
    for mut call in calls {
        assert_eq!(
            call.next().await.unwrap().unwrap_err().code,
            Code::Unavailable
        );
    }
    assert!(matches!(
        client.call(count(1), Meta::default()).await,
        Err(ClientError::Closed(_))
    ));
}
