//! What a person sees through `ipc tap`, by the real program in front of a real server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod common;
mod tapping;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

use common::Server;
use tapping::{Tap, masked};

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
            "TIME   1 ←     5 error             166 B  LATENCY  UNIMPLEMENTED: test does not answer list_tools",
        ]
    );
    assert!(!tap.path.exists());
}
