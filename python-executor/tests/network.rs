//! What a tool reaches of the network: what its policy names, through the supervisor, and nothing else.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::PathBuf,
};

use common::{Executor, error_of};

const TOOLS: &str = r#"
import os, socket, urllib.request

@tool
def fetch(url: str) -> str:
    "Fetches a page."
    return urllib.request.urlopen(url, timeout=3).read().decode()

@tool
def talk(host: str, port: int) -> str:
    "Says hello."
    with socket.create_connection((host, port), timeout=3) as connection:
        connection.sendall(b"hello\n")
        return connection.makefile().readline()

@tool
def talk_to_path(path: str) -> str:
    "Says hello."
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(b"hello\n")
        return connection.makefile().readline()

@tool
def leave_the_connection(host: str, port: int, other: int) -> str:
    "Tries to use a connected socket for another address."
    with socket.create_connection((host, port), timeout=3) as connection:
        import ctypes, _socket
        raw = _socket.socket
        # An address of no family undoes a connection; then data sent with this flag would make another.
        undone = ctypes.CDLL(None).connect(connection.fileno(), bytes(16), 16)
        told = ["done" if undone == 0 else "refused"]
        try:
            raw.sendto(connection, b"x", 0x20000000, (host, other))
        except OSError:
            pass
        for attempt in (
            lambda: raw.connect(connection, (host, other)),
            lambda: raw.bind(connection, ("127.0.0.1", 0)),
            lambda: raw.listen(connection, 1),
        ):
            try:
                attempt()
                told.append("done")
            except OSError:
                told.append("refused")
        return " ".join(told)

@tool
def variable(name: str) -> str:
    "Reads a variable."
    return os.environ.get(name, "not there")
"#;

/// Answers each connection's line with the word.
fn answer(
    connections: impl Iterator<Item = impl Read + Write + Send + 'static> + Send + 'static,
    word: &'static str,
) {
    std::thread::spawn(move || {
        for mut connection in connections {
            let mut line = [0; 4096];
            let n = connection.read(&mut line).unwrap_or(0);
            let reply = if line.get(..n).is_some_and(|line| line.starts_with(b"GET ")) {
                format!(
                    "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{word}",
                    word.len()
                )
            } else {
                format!("{word}\n")
            };
            let _ = connection.write_all(reply.as_bytes());
        }
    });
}

fn server(word: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let connections =
            std::iter::from_fn(move || listener.accept().ok().map(|(stream, _)| stream));
        answer(connections, word);
    });
    port
}

fn policy(text: &str) -> (tempfile::TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    (room, path)
}

async fn executor(path: &std::path::Path) -> Executor {
    Executor::start_by(TOOLS, |command| {
        command
            .arg("--policy")
            .arg(path)
            .env("CALLSPAN_TEST_GRANTED", "granted")
            .env("CALLSPAN_TEST_SECRET", "secret");
    })
    .await
}

#[tokio::test]
async fn a_tool_reaches_what_its_policy_names_and_nothing_else() {
    let (named, other) = (server("named"), server("other"));
    let (_room, path) = policy(&format!(
        "[default]\nnetwork = [\"127.0.0.1:{named}\", \"localhost:{named}\"]\n[tools.fetch]\nnetwork = []"
    ));
    let executor = executor(&path).await;
    for host in ["127.0.0.1", "localhost"] {
        let talked = executor
            .call("talk", &format!(r#"{{"host":"{host}","port":{named}}}"#))
            .await;
        assert_eq!(talked.result, r#""named\n""#, "{talked:?}");
    }
    let refused = error_of(
        &executor
            .call("talk", &format!(r#"{{"host":"127.0.0.1","port":{other}}}"#))
            .await,
    );
    assert!(refused.starts_with("PermissionError: "), "{refused}");
    assert!(
        refused.contains("is not in the tool's policy: it names 127.0.0.1:"),
        "{refused}"
    );
    let none = executor
        .call(
            "fetch",
            &format!(r#"{{"url":"http://127.0.0.1:{named}/"}}"#),
        )
        .await;
    assert_ne!(none.outcome, "ok", "{none:?}");
}

#[tokio::test]
async fn the_librarys_own_clients_work() {
    let port = server("a page");
    let (_room, path) = policy(&format!("[tools.fetch]\nnetwork = [\"127.0.0.1:{port}\"]"));
    let executor = executor(&path).await;
    let page = executor
        .call("fetch", &format!(r#"{{"url":"http://127.0.0.1:{port}/"}}"#))
        .await;
    assert_eq!(page.result, r#""a page""#, "{page:?}");
}

#[tokio::test]
async fn a_unix_socket_that_the_policy_names_is_reached_though_its_path_is_not_seen() {
    let room = tempfile::tempdir().unwrap();
    let at = room.path().join("service");
    let listener = UnixListener::bind(&at).unwrap();
    let connections = std::iter::from_fn(move || listener.accept().ok().map(|(stream, _)| stream));
    answer(connections, "service");
    let (_room, path) = policy(&format!("[default]\nnetwork = [\"unix:{}\"]", at.display()));
    let executor = executor(&path).await;
    let talked = executor
        .call("talk_to_path", &format!(r#"{{"path":"{}"}}"#, at.display()))
        .await;
    assert_eq!(talked.result, r#""service\n""#, "{talked:?}");
    let other = error_of(
        &executor
            .call("talk_to_path", r#"{"path":"/run/other"}"#)
            .await,
    );
    assert!(other.starts_with("PermissionError: "), "{other}");
}

#[tokio::test]
async fn a_connected_socket_cannot_be_led_elsewhere() {
    let (named, other) = (server("named"), TcpListener::bind("127.0.0.1:0").unwrap());
    other.set_nonblocking(true).unwrap();
    let (_room, path) = policy(&format!("[default]\nnetwork = [\"127.0.0.1:{named}\"]"));
    let executor = executor(&path).await;
    let other_port = other.local_addr().unwrap().port();
    let tried = executor
        .call(
            "leave_the_connection",
            &format!(r#"{{"host":"127.0.0.1","port":{named},"other":{other_port}}}"#),
        )
        .await;
    // Refused one by one, or ended at the first.
    let refused = tried.result == r#""refused refused refused refused""#;
    assert!(refused || tried.outcome == "syscall_killed", "{tried:?}");
    assert!(other.accept().is_err(), "it was led elsewhere");
}

#[tokio::test]
async fn a_variable_is_seen_by_its_name_in_the_policy_only() {
    let (_room, path) =
        policy("[default]\nenvironment = [\"CALLSPAN_TEST_GRANTED\", \"CALLSPAN_TEST_MISSING\"]");
    let executor = executor(&path).await;
    for (name, value) in [
        ("CALLSPAN_TEST_GRANTED", "\"granted\""),
        ("CALLSPAN_TEST_SECRET", "\"not there\""),
        ("CALLSPAN_TEST_MISSING", "\"not there\""),
    ] {
        let seen = executor
            .call("variable", &format!(r#"{{"name":"{name}"}}"#))
            .await;
        assert_eq!(seen.result, value, "{name}: {seen:?}");
    }
}
