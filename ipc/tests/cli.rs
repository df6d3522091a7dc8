//! `ipc call` and `ipc health` as programs: what they print, and the exit statuses that scripts rely on.
#![allow(clippy::unwrap_used, reason = "tests")]
mod common;
mod tapping;

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::Ordering,
};

use bytes::BytesMut;
use common::Server;
use ipc::{
    codec::{Encoding, encode, json},
    proto::{Frame, HealthReport, frame::Body},
};
use tapping::{stale, until};

struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ipc(arguments: &[&str]) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_ipc"))
        .args(arguments)
        .output()
        .unwrap())
}

fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn path(server: &Server) -> &str {
    server.path.to_str().unwrap()
}

/// Refused with exit 2, before anything is sent: one line what, one line how to fix it.
fn misused(arguments: &[&str]) -> String {
    let ran = ipc(arguments);
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (Some(2), ""),
        "{arguments:?}: {}",
        ran.stderr
    );
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert!(
        matches!(lines[..], [what, how] if what.starts_with("error: ") && how.starts_with("  fix: ")),
        "{lines:?}"
    );
    ran.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_lines_of_json_and_the_last_ends_the_call() {
    let server = Server::start();
    for binary in [&[][..], &["--binary"]] {
        let ran = ipc(&[
            &[
                "call",
                path(&server),
                "ping",
                "{\"payload\":\"a\\n\\u001b\"}",
            ],
            binary,
        ]
        .concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
        assert_eq!(
            ran.stdout,
            "{\"id\":1,\"pong\":{\"payload\":\"a\\n\\u001b\"}}\n"
        );
        let ran = ipc(&[
            &[
                "call",
                path(&server),
                "generate",
                "{\"prompt\":\"count 20\",\"stream\":true}",
            ],
            binary,
        ]
        .concat());
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let frames: Vec<_> = ran
            .stdout
            .lines()
            .map(|line| json::decode_strict(line).unwrap())
            .collect();
        let (last, deltas) = frames.split_last().unwrap();
        assert_eq!(last.method(), "done");
        assert!(!deltas.is_empty() && deltas.iter().all(|frame| frame.method() == "delta"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_text_may_be_written_as_it_is_and_come_from_stdin() {
    let server = Server::start();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipc"))
        .args(["call", path(&server), "call_tool", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let fields = b"{\r\n \"name\": \"t\",\n \"arguments\": {\"z\": 12345678901234567890123, \"a\": \"\\n\"}\n}\n";
    child.stdin.take().unwrap().write_all(fields).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!(ran.status, Some(0));
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        answer["tool_result"]["result"],
        "{\"z\": 12345678901234567890123, \"a\": \"\\n\"}"
    );
}

#[test]
fn what_is_mistyped_is_refused_and_named() {
    let call = |method: &str, fields: &str| misused(&["call", "/nowhere", method, fields]);
    assert!(call("helth", "{}").contains("there is no method helth\n  fix: did you mean health?"));
    assert!(call("zzz", "{}").contains("the methods are hello, generate"));
    assert!(call("done", "{}").contains("done is no request"));
    assert!(call("call_tool", "{\"nmae\":\"x\"}").contains("no field call_tool.nmae"));
    let nested = "{\"tools\":[{\"name\":\"a\"},{\"naem\":1}]}";
    assert!(call("generate", nested).contains("no field generate.tools[1].naem"));
    assert!(call("ping", "{\n \"payload\": }").contains("line 2, column 13: expected value"));
    assert!(call("ping", "{\n \"payload\":\n  5}").contains("line 3, column 3: "));
    assert!(call("ping", "{}}").contains("line 1, column 3: trailing characters"));
    // Nothing can be slipped into the frame around it.
    assert!(call("ping", "{},\"id\":7").contains("line 1, column 3"));
    for fields in ["[]", "null", "1", "\"x\""] {
        assert!(
            call("ping", fields).contains("not a JSON object"),
            "{fields}"
        );
    }
    assert!(call("generate", "{\"max_tokens\":-1}").contains("line 1, column "));
    assert!(
        misused(&["call", "/nowhere", "ping", "--traceparent", "x"]).contains("not a traceparent")
    );
    assert!(misused(&["call", "/nowhere", "ping", "--timeout-ms", "soon"]).contains("soon"));
    assert!(misused(&["call", "/nowhere"]).contains("<METHOD>"));
    assert!(misused(&["--no-such-flag"]).contains("--no-such-flag"));
    assert!(misused(&["tap", "/tmp/a", "/tmp/a"]).contains("the same socket"));
    assert!(misused(&["tap", &format!("/tmp/{}", "x".repeat(200)), "/tmp/a"]).contains("at most"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_frame_is_told_with_its_hint_and_exit_1() {
    let server = Server::start();
    let ran = ipc(&["call", path(&server), "list_tools"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr
            .starts_with("error: UNIMPLEMENTED: test does not answer list_tools\n  fix: "),
        "{}",
        ran.stderr
    );
    let ran = ipc(&[
        "call",
        path(&server),
        "generate",
        "{\"prompt\":\"hang\"}",
        "--timeout-ms",
        "50",
    ]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stderr.starts_with("error: DEADLINE_EXCEEDED: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn why_there_is_no_connection_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let refused = |path: &Path, why: &str| {
        for command in [&["health"][..], &["call"]] {
            let method: &[&str] = if command[0] == "call" { &["ping"] } else { &[] };
            let ran = ipc(&[command, &[path.to_str().unwrap()], method].concat());
            assert_eq!(
                (ran.status, ran.stdout.as_str()),
                (Some(3), ""),
                "{}",
                ran.stderr
            );
            assert!(
                ran.stderr.contains(why) && ran.stderr.contains("\n  fix: "),
                "{}",
                ran.stderr
            );
        }
    };
    refused(&at("missing"), "there is no such file");
    stale(&at("stale"), UnixListener::bind(at("stale")).unwrap());
    refused(&at("stale"), "stale: nobody listens");
    std::fs::write(at("file"), "").unwrap();
    refused(&at("file"), "it is no socket");
    refused(&at(&"x".repeat(200)), "too long");
    let _listener = UnixListener::bind(at("locked")).unwrap();
    std::fs::set_permissions(at("locked"), std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root may connect to anything.
    if !rustix::process::geteuid().is_root() {
        refused(&at("locked"), "permission denied");
    }
}

#[test]
fn a_server_that_says_nothing_or_goes_gives_no_health() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mute");
    let listener = UnixListener::bind(&path).unwrap();
    let accepting = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let ran = ipc(&["health", path.to_str().unwrap()]);
    accepting.join().unwrap();
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.contains("gives no report"), "{}", ran.stderr);
}

#[test]
fn a_server_that_is_not_serving_is_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sick");
    let listener = UnixListener::bind(&path).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let report = HealthReport {
            status: "NOT_SERVING".into(),
            details: [("model".into(), "\u{1b}[2Jgone".into())].into(),
            ..Default::default()
        };
        let mut bytes = BytesMut::new();
        encode(
            &Frame::new(1, Body::HealthReport(report)),
            Encoding::Binary,
            &mut bytes,
        )
        .unwrap();
        stream.write_all(&bytes).unwrap();
        // Until the client has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let ran = ipc(&["health", path.to_str().unwrap()]);
    answering.join().unwrap();
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), ""));
    assert!(
        ran.stdout.starts_with("status  NOT_SERVING\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.ends_with("model   \\x1b[2Jgone\n"),
        "{}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_request() {
    let server = Server::start();
    let child = Command::new(env!("CARGO_BIN_EXE_ipc"))
        .args(["call", path(&server), "generate", "{\"prompt\":\"hang\"}"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("the request to run", || {
        server.service.running.load(Ordering::SeqCst) == 1
    });
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = ran(child.wait_with_output().unwrap());
    assert_eq!(ran.status, Some(130));
    assert!(ran.stderr.starts_with("error: CANCELLED"), "{}", ran.stderr);
    until("the server to stop", || {
        server.service.stopped.load(Ordering::SeqCst) == 1
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_a_table_for_people_and_json_for_scripts() {
    let server = Server::start();
    let ran = ipc(&["health", path(&server)]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = ran.stdout.lines().collect();
    let pid = format!("pid     {}", std::process::id());
    assert!(
        lines.starts_with(&["status  SERVING", "server  test 0", &pid, "up      0 s"]),
        "{lines:#?}"
    );
    let ran = ipc(&["health", path(&server), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (ran.status, &report["status"]),
        (Some(0), &"SERVING".into())
    );
    assert_eq!(report["pid"], std::process::id());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_tool_returns_are_in_the_json_or_in_a_directory() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("plot.png");
    let call = [
        "call",
        path(&server),
        "call_tool",
        "{\"name\":\"plot\",\"arguments\":{}}",
    ];
    let ran = ipc(&call);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    // A MiB in base64.
    assert!(ran.stdout.len() > 4 << 18, "{}", ran.stdout.len());
    let flags = ["--artefacts", directory.path().to_str().unwrap()];
    let with = ipc(&[&call[..], &flags].concat());
    assert_eq!(with.status, Some(0), "{}", with.stderr);
    assert!(with.stdout.contains("plot.png") && with.stdout.len() < 500);
    assert_eq!(
        with.stderr,
        format!("artefact {} (image/png, 1048576 bytes)\n", saved.display())
    );
    assert!(std::fs::read(&saved).unwrap() == vec![0xff; 1 << 20]);
    // A second time it would be replaced: it is not, and nothing is lost.
    let again = ipc(&[&call[..], &flags].concat());
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.starts_with("error: cannot save "));
    assert_eq!(again.stdout, ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_decided_as_was_said_and_told() {
    let server = Server::start();
    let verdicts = |flags: &[&str]| {
        let snippet = "{\"code\":\"now ring now\",\"decides\":true}";
        let ran = ipc(&[&["call", path(&server), "run_code", snippet], flags].concat());
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let result = answer["tool_result"]["result"].as_str().unwrap();
        (
            serde_json::from_str::<Vec<String>>(result).unwrap(),
            ran.stderr,
        )
    };
    let denied = |name: &str| {
        format!("asked: call {name}({{\"x\":\"\\x1b\"}}): deny (--allow {name} allows it)\n")
    };
    let allowed = |name: &str| format!("asked: call {name}({{\"x\":\"\\x1b\"}}): allow\n");
    assert_eq!(
        verdicts(&[]),
        (
            vec!["deny".into(); 3],
            denied("now") + &denied("ring") + &denied("now")
        )
    );
    assert_eq!(
        verdicts(&["--allow", "ring,other"]),
        (
            vec!["deny".into(), "allow".into(), "deny".into()],
            denied("now") + &allowed("ring") + &denied("now")
        )
    );
    for flags in [
        &["--allow", "all"][..],
        &["--allow", "now", "--allow", "ring"],
    ] {
        let (verdicts, told) = verdicts(flags);
        assert_eq!(verdicts, ["allow"; 3]);
        assert_eq!(told, allowed("now") + &allowed("ring") + &allowed("now"));
    }
    let nameless = ["call", path(&server), "generate", "{\"prompt\":\"ask\"}"];
    let ran = ipc(&nameless);
    assert_eq!(
        ran.stderr,
        "asked: approval (): deny (--allow all allows it)\n"
    );
    assert!(ran.stdout.contains("deny: ipc call was not told"));
    // The calls of this one would not be asked about.
    let snippet = ["call", path(&server), "run_code", "{\"code\":\"now\"}"];
    assert_eq!(ipc(&snippet).status, Some(0));
    let said = misused(&[&snippet[..], &["--allow", "now"]].concat());
    assert!(said.contains("\"decides\":true"), "{said}");
    assert!(misused(&[&snippet[..], &["--allow", "now,"]].concat()).contains("empty name"));
}

#[test]
fn alone_it_helps_and_help_is_data_when_asked_for() {
    let ran = ipc(&[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("Examples:"));
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["tap", "--help"],
        &["call", "--help"],
        &["health", "--help"],
    ] {
        let ran = ipc(arguments);
        assert_eq!(
            (ran.status, ran.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(
            arguments == ["--version"] || ran.stdout.contains("Examples:"),
            "{arguments:?}"
        );
    }
}
