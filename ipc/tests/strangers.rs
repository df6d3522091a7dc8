//! Connections that a service takes over, told by their first line; all others speak frames as ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use ipc::{
    listen::Listener,
    proto::HealthReport,
    server::{Answer, Request, ServerInfo, Service, Stranger, serve},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Takes over who begins with a line that has the word `stranger` in it, and gives back what comes, in capitals.
struct Shouter;

impl Service for Shouter {
    async fn handle(self: Arc<Self>, _: Request, _: Answer) {}

    fn health(&self) -> HealthReport {
        HealthReport::default()
    }

    fn strangers(&self) -> Option<fn(&[u8]) -> bool> {
        Some(|line| line.windows(8).any(|word| word == b"stranger"))
    }

    async fn take_over(self: Arc<Self>, mut stranger: Stranger) {
        let mut said = stranger.beginning;
        loop {
            stranger
                .stream
                .write_all(&said.to_ascii_uppercase())
                .await
                .unwrap();
            said.clear();
            tokio::select! {
                () = stranger.shutdown.cancelled() => return,
                read = stranger.stream.read_buf(&mut said) => if read.unwrap() == 0 { return },
            }
        }
    }
}

struct Server {
    path: PathBuf,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/test.sock");
    let listener = Listener::bind(&path).unwrap();
    let shutdown = CancellationToken::new();
    let info = ServerInfo {
        name: "test".into(),
        max_frame_bytes: 1 << 20,
        ..ServerInfo::default()
    };
    let serving = serve(listener, info, Arc::new(Shouter), shutdown.clone());
    Server {
        path,
        shutdown,
        serving: tokio::spawn(async move { serving.await.unwrap() }),
        _dir: dir,
    }
}

/// What comes back to these pieces, each sent after a pause.
async fn answer(server: &Server, pieces: &[&str]) -> String {
    timeout(Duration::from_secs(20), answer_at_length(server, pieces))
        .await
        .expect("no answer in 20 s")
}

async fn answer_at_length(server: &Server, pieces: &[&str]) -> String {
    let mut stream = UnixStream::connect(&server.path).await.unwrap();
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_first_line_that_the_service_knows_is_a_strangers_however_it_comes() {
    let server = server();
    for pieces in [
        &["{stranger}\nand more\n"][..],
        &["{str", "anger}", "\nand", " more\n"],
        &["\n \r\n", "{stranger}\nand more\n"],
        &["{stranger}"],
    ] {
        let said = pieces.concat();
        assert_eq!(answer(&server, pieces).await, said.to_uppercase());
    }
}

#[tokio::test]
async fn frames_are_answered_beside_strangers_however_they_come() {
    let server = server();
    let pong = "{\"id\":1,\"pong\":{\"payload\":\"a\"}}\n";
    for pieces in [
        &["{\"id\":1,\"ping\":{\"payload\":\"a\"}}\n"][..],
        &["{\"id\":1,\"pi", "ng\":{\"payload\":\"a\"}}", "\n"],
        &["\n\n{\"id\":1,\"ping\":{\"payload\":\"a\"}}"],
    ] {
        assert_eq!(answer(&server, pieces).await, pong, "{pieces:?}");
    }
    // Only the first line tells.
    let two = "{\"id\":1,\"ping\":{\"payload\":\"a\"}}\n{\"stranger\":1}\n";
    let answered = answer(&server, &[two]).await;
    assert!(answered.starts_with(pong), "{answered}");
    assert!(answered.contains("INVALID_ARGUMENT"), "{answered}");
}

#[tokio::test]
async fn a_first_line_that_is_too_long_is_told_as_ever() {
    let server = server();
    let long = format!("{{\"stranger\":\"{}\"}}\n", "x".repeat(2 << 20));
    let answered = answer(&server, &[&long, "{\"id\":3,\"ping\":{}}\n"]).await;
    assert!(answered.contains("1048576"), "{answered}");
    assert!(answered.contains("\"pong\""), "{answered}");
}

#[tokio::test]
async fn at_the_end_strangers_are_told_and_who_said_nothing_is_not_waited_for() {
    let server = server();
    let mut stranger = UnixStream::connect(&server.path).await.unwrap();
    stranger.write_all(b"{stranger}\n").await.unwrap();
    let mut seen = [0; 11];
    stranger.read_exact(&mut seen).await.unwrap();
    let mut silent = UnixStream::connect(&server.path).await.unwrap();
    silent.write_all(b"{").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    server.shutdown.cancel();
    timeout(Duration::from_secs(2), server.serving)
        .await
        .expect("it ends at once")
        .unwrap();
    assert_eq!(stranger.read(&mut seen).await.unwrap(), 0);
}
