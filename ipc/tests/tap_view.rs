//! What `ipc tap` shows when things are not nice: garbage, escape sequences, a reader that does not read, the end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod common;
mod tapping;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::{Duration, Instant},
};

use common::Server;
use tapping::{PATIENCE, Said, Tap, masked, until};
use tempfile::tempdir;

/// What is shown of `up` and `down`, said by two peers that are not ours, one after the other.
fn shown(flags: &[&str], up: &[u8], down: &[u8]) -> Said {
    let dir = tempdir().unwrap();
    let path = dir.path().join("up");
    let listener = UnixListener::bind(&path).unwrap();
    let tap = Tap::start(&path, flags);
    let client = UnixStream::connect(&tap.path).unwrap();
    let (server, _) = listener.accept().unwrap();
    (&client).write_all(up).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (mut heard, mut answered) = (Vec::new(), Vec::new());
    (&server).read_to_end(&mut heard).unwrap();
    (&server).write_all(down).unwrap();
    drop(server);
    (&client).read_to_end(&mut answered).unwrap();
    assert!(heard == up && answered == down);
    tap.stop()
}

fn lines(said: &Said) -> Vec<String> {
    said.stdout.lines().map(masked).collect()
}

#[test]
fn bytes_that_are_no_frames_are_shown_as_such() {
    let said = shown(
        &[],
        b"{\"id\":1,\"ping\":{}}\n{\"id\":2,\"ping\":\n{\"id\":3}\n{\"id\":4,",
        b"Hello?\x00\xff\n",
    );
    assert_eq!(
        lines(&said),
        [
            "TIME   1 →     1 ping               19 B",
            "TIME   1 →     - ?                  16 B           line 2, column 15: EOF while parsing a value: {\"id\":2,\"ping\":\\n",
            "TIME   1 →     3 unknown             9 B           {\"id\":3}",
            "TIME   1 →     - ?                   8 B           line 4, column 8: EOF while parsing a value: {\"id\":4,",
            "TIME   1 ←     - ?                   9 B           no frames: Hello?\\x00\\xff\\n",
            "TIME   1 ←     - ended without answering request 1",
        ]
    );
    assert_eq!((said.stderr.as_str(), said.status), ("", Some(0)));
}

#[test]
fn a_call_is_shown_as_it_streams() {
    let said = shown(
        &[],
        b"{\"id\":1,\"generate\":{\"prompt\":\"x\"}}\n",
        br#"{"id":1,"delta":{"call_deltas":[{"id":"call_0","name":"ring","arguments":"{\"ti"},{"index":1,"arguments":"mes\":1}"}]}}
{"id":1,"done":{"finish_reason":"stop"}}
"#,
    );
    let lines = lines(&said);
    assert!(lines[1].ends_with(r#"ring({"ti …mes":1}"#), "{lines:#?}");
}

#[test]
fn what_a_tool_says_on_the_way_and_what_it_cost_is_shown() {
    let result = "x".repeat(500);
    let answer = [
        r#"{"id":1,"delta":{"progress":{"fraction":0.4,"message":"row 2"},"logs":[{"level":"INFO","logger":"units","message":"hot"}]}}"#,
        r#"{"id":1,"delta":{"progress":{"message":"on"}}}"#,
        r#"{"id":1,"tool_result":{"outcome":"ok","result":"{\"value\":1}","wall_us":56,"cpu_us":1049,"max_rss_kib":14336,"start":"spare","isolation":{"level":"full"},"artefacts":[{"name":"a.png","media_type":"image/png","data":"QUJD"}]}}"#,
        &format!(r#"{{"id":3,"tool_result":{{"outcome":"ok","result":"{result}","wall_us":56,"start":"spare","isolation":{{"level":"full"}}}}}}"#),
        r#"{"id":5,"tool_result":{"outcome":"exception","error":{"type":"ValueError","message":"no"}}}"#,
        "",
    ]
    .join("\n");
    let asked = br#"{"id":1,"run_code":{"code":"1+1","session":"s1"}}
{"id":3,"call_tool":{}}
{"id":5,"call_tool":{}}
"#;
    let shown = lines(&shown(&[], asked, answer.as_bytes()));
    let cut = format!("ok · {}… · 0.1 ms, spare, full", "x".repeat(48));
    let mut ends = [
        "session: s1 · 1+1",
        "()",
        "()",
        "progress: 40 % row 2 · INFO units: hot",
        "progress: on",
        r#"ok · {"value":1} · a.png (image/png, 3 bytes) · 0.1 ms, cpu 1.0 ms, 14.0 MiB, spare, full"#,
        &cut,
        "exception · ValueError: no",
    ]
    .into_iter();
    assert_eq!(shown.len(), ends.len(), "{shown:#?}");
    assert!(
        shown
            .iter()
            .all(|line| ends.next().is_some_and(|end| line.ends_with(end))),
        "{shown:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_megabyte_is_a_short_line() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &[]);
    let said = tokio::task::block_in_place(|| {
        let stream = UnixStream::connect(&tap.path).unwrap();
        (&stream)
            .write_all(b"{\"id\":1,\"call_tool\":{\"name\":\"plot\"}}\n")
            .unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        assert!(answer.len() > 1 << 20);
        tap.stop()
    });
    let last = said.stdout.lines().last().unwrap();
    assert!(
        last.ends_with("ok · plot.png (image/png, 1048576 bytes)"),
        "{last}"
    );
}

#[test]
fn binary_frames_are_shown_up_to_where_they_are_lost() {
    let ping = [0, 0, 0, 4, 8, 1, 0x4a, 0];
    let mut up = ping.to_vec();
    up.extend([1, 0, 0, 0, 9, 9, 9, 9]);
    let said = shown(&[], &up, &ping[..6]);
    let lines = lines(&said);
    assert!(lines[0].starts_with("TIME   1 →     1 ping"), "{lines:#?}");
    assert!(lines[1].contains("lengths are below 2^24"), "{lines:#?}");
    assert!(lines[2].contains("only forwarded"), "{lines:#?}");
    assert!(
        lines[3].contains("ended within a frame: 6 bytes of a frame of 8 bytes"),
        "{lines:#?}"
    );
}

#[test]
fn nothing_that_acts_on_a_terminal_gets_through() {
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}\u{7}\r\u{8}";
    let json = serde_json::to_string(evil).unwrap();
    let up =
        format!("{{\"id\":1,\"ping\":{{\"payload\":{json}}},{json}:1}}\n\u{1b}]0;title\u{7}\n");
    for format in ["line", "json", "hex"] {
        let said = shown(&["--format", format], up.as_bytes(), evil.as_bytes());
        let acts = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(said.stdout.chars().find(acts), None, "{}", said.stdout);
        assert!(
            format == "hex" || said.stdout.contains("[2J"),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn colour_is_for_terminals_and_those_who_force_it() {
    let server = tempdir().unwrap();
    let path = server.path().join("up");
    let listener = UnixListener::bind(&path).unwrap();
    let coloured = |flags: &[&str], vars: &[(&str, &str)]| {
        let tap = Tap::start_with(&path, flags, |command| {
            command.envs(vars.iter().copied());
        });
        let client = UnixStream::connect(&tap.path).unwrap();
        let (server, _) = listener.accept().unwrap();
        (&client).write_all(b"{\"id\":1,\"ping\":{}}\n").unwrap();
        (&server).read_exact(&mut [0; 19]).unwrap();
        let said = tap.stop().stdout;
        assert!(said.contains("ping"), "{said}");
        said.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]));
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(
        &[],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn frames_as_json_are_one_object_a_line() {
    let said = shown(
        &["--format", "json"],
        b"{\"id\":7,\"ping\":{\"payload\":\"x\"},\"colour\":1}\nrubbish\n",
        b"{\"id\":7,\"pong\":{}}\n",
    );
    let objects: Vec<serde_json::Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(
        objects[0]["frame"],
        serde_json::json!({"id": 7, "ping": {"payload": "x"}})
    );
    assert_eq!(objects[0]["unknown"], serde_json::json!(["colour"]));
    assert_eq!(
        (&objects[0]["direction"], &objects[2]["direction"]),
        (&"to_server".into(), &"to_client".into())
    );
    assert_eq!(
        (&objects[0]["bytes"], &objects[1]["head"]),
        (&43.into(), &"rubbish\n".into())
    );
    assert!(objects[0]["latency_us"].is_null());
    assert!(objects[2]["latency_us"].as_u64().unwrap() > 0);
}

#[test]
fn hex_is_the_bytes_as_they_went() {
    let said = shown(&["--format", "hex"], b"0123456789abcdef\x00\x1b~", b"");
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(masked(lines[0]), "TIME   1 → 19 B");
    assert_eq!(
        lines[1],
        "  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef"
    );
    assert_eq!(
        lines[2],
        "  00 1b 7e                                         ..~"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_before_sigterm_is_shown() {
    let server = Server::start();
    for _ in 0..10 {
        let tap = Tap::start(&server.path, &[]);
        let said = tokio::task::block_in_place(|| {
            let stream = UnixStream::connect(&tap.path).unwrap();
            (&stream)
                .write_all(b"{\"id\":1,\"ping\":{\"payload\":\"the last\"}}\n")
                .unwrap();
            let mut answer = String::new();
            BufReader::new(&stream).read_line(&mut answer).unwrap();
            // At once, and with the connection open.
            tap.stop()
        });
        assert!(
            said.stdout.contains("pong") && said.stdout.ends_with("the last\n"),
            "{}",
            said.stdout
        );
        assert_eq!((said.stderr.as_str(), said.status), ("", Some(0)));
        assert!(!tap.path.exists());
    }
}

/// Sends and hears one line after another, `count` times; the slowest.
fn pings(stream: &UnixStream, count: u32) -> Duration {
    let mut answers = BufReader::new(stream);
    let mut slowest = Duration::ZERO;
    let payload = "x".repeat(1000);
    for at in 0..count {
        let line = format!("{{\"id\":{at},\"ping\":{{\"payload\":\"{payload}\"}}}}\n");
        let start = Instant::now();
        let mut writer = stream;
        writer.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        assert!(answers.read_line(&mut answer).unwrap() > 0);
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_slows_nothing_and_is_told_what_it_missed() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &["--queue-bytes", "200000"]);
    let said = tokio::task::block_in_place(|| {
        let stream = UnixStream::connect(&tap.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // 4 MB: more than the pipe (64 KiB) and the queue hold.
        let slowest = pings(&stream, 2000);
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        let output = tap.reading();
        // Room again: what comes now is shown.
        thread::sleep(Duration::from_millis(100));
        pings(&stream, 1);
        (&stream)
            .write_all(b"{\"id\":77,\"ping\":{\"payload\":\"the last\"}}\n")
            .unwrap();
        BufReader::new(&stream)
            .read_line(&mut String::new())
            .unwrap();
        let said = tap.stop();
        Said {
            stdout: output.join().unwrap(),
            ..said
        }
    });
    assert_eq!(said.status, Some(0));
    let gaps: Vec<_> = said
        .stdout
        .lines()
        .filter(|line| line.contains("were forwarded and not looked at"))
        .collect();
    assert!(!gaps.is_empty(), "{}", said.stderr);
    assert!(
        gaps[0].ends_with("frames are missing up to the next line"),
        "{}",
        gaps[0]
    );
    assert!(
        said.stderr.contains("bytes were forwarded and not shown"),
        "{}",
        said.stderr
    );
    let last = said.stdout.lines().last().unwrap();
    assert!(
        last.contains("pong") && last.ends_with("the last"),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_does_not_keep_the_tap() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &[]);
    tokio::task::block_in_place(|| {
        pings(&UnixStream::connect(&tap.path).unwrap(), 1000);
        let start = Instant::now();
        tap.terminate();
        until("the tap to end", || !tap.path.exists());
        thread::sleep(Duration::from_millis(2500));
        // Only now is its pipe emptied.
        let said = tap.rest();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(said.status, Some(0));
        assert_eq!(
            said.stderr,
            "ipc tap: stdout is not read: the last frames seen are not shown\n"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_gone_stops_nothing() {
    let server = Server::start();
    let tap = Tap::start(&server.path, &[]);
    tokio::task::block_in_place(|| {
        tap.close_stdout();
        pings(&UnixStream::connect(&tap.path).unwrap(), 100);
        let said = tap.stop();
        assert_eq!((said.stderr.as_str(), said.status), ("", Some(0)));
    });
}
