//! What a person sees through `ipc tap`, by the real program in front of a real server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod common;
mod tapping;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::Ordering,
};

use common::{Server, count, text};
use ipc::{
    client::Client,
    proto::{Meta, frame::Body},
};
use tapping::{Tap, masked, until};

/// Says one line, gives the answers up to the end of the last one.
fn say(stream: &UnixStream, line: &str, answers: usize) -> Vec<String> {
    let mut writer = stream;
    writer.write_all(line.as_bytes()).unwrap();
    BufReader::new(stream)
        .lines()
        .take(answers)
        .map(Result::unwrap)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_all_that_a_person_looks_for() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &[]);
    tokio::task::block_in_place(|| {
        let stream = UnixStream::connect(&tap.path).unwrap();
        say(&stream, "{\"id\":1,\"ping\":{\"payload\":\"hi\"}}\n", 1);
        say(
            &stream,
            "{\"id\":3,\"call_tool\":{\"name\":\"t\",\"arguments\":{\"a\":1}}}\n",
            1,
        );
        say(&stream, "{\"id\":5,\"list_tools\":{},\"colour\":1}\n", 1);
    });
    let seen = tap.stop();
    assert_eq!(seen.status, Some(0));
    let lines: Vec<_> = seen.stdout.lines().map(masked).collect();
    assert_eq!(
        lines,
        [
            "TIME   1 →     1 ping               33 B           hi",
            "TIME   1 ←     1 pong               33 B  LATENCY  hi",
            "TIME   1 →     3 call_tool          54 B           t({\"a\":1})",
            "TIME   1 ←     3 tool_result        61 B  LATENCY  ok · {\"a\":1}",
            "TIME   1 →     5 list_tools         36 B           (unknown: colour)",
            "TIME   1 ←     5 error             176 B  LATENCY  UNIMPLEMENTED: test does not answer list_tools",
        ]
    );
    assert!(!tap.path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_binary_requests_at_once_are_answered_and_shown() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &["--color", "always"]);
    let client = Client::connect(&tap.path).await.unwrap();
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(count(20), Meta::default()).await.unwrap() })
        })
        .collect();
    for answer in asked {
        let Body::Done(done) = answer.await.unwrap() else {
            panic!()
        };
        assert_eq!(done.content, text(20));
    }
    drop(client);
    let seen = tap.stop().stdout;
    assert_eq!(
        seen.lines()
            .filter(|line| line.contains(" generate "))
            .count(),
        50
    );
    let done: Vec<_> = seen
        .lines()
        .filter(|line| line.contains(" done "))
        .collect();
    assert_eq!(done.len(), 50);
    assert!(
        done.iter()
            .all(|line| line.contains(" ms  stop · 0 1 2 ") && line.contains("\u{1b}[32m←")),
        "{done:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_on_the_tap_cancels_as_without_it() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &[]);
    let mut stream = UnixStream::connect(&tap.path).unwrap();
    stream
        .write_all(b"{\"id\":1,\"generate\":{\"prompt\":\"hang\"}}\n")
        .unwrap();
    until("the request to run", || {
        server.service.running.load(Ordering::SeqCst) == 1
    });
    drop(stream);
    until("the request to stop", || {
        server.service.stopped.load(Ordering::SeqCst) == 1
    });
    let seen = tap.stop().stdout;
    assert!(
        seen.ends_with("ended without answering request 1\n"),
        "{seen}"
    );
}
