//! Sockets: who may have one, who may speak to it, and what is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use ipc::listen::{ListenError, Listener};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_and_its_new_directories_are_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join("a/b/s.sock");
    let listener = Listener::bind(&path).unwrap();
    assert_eq!(
        (
            mode(&path),
            mode(&dir.path().join("a")),
            mode(&dir.path().join("a/b"))
        ),
        (0o600, 0o700, 0o700)
    );
    assert_eq!(
        mode(dir.path()),
        0o755,
        "a directory that was there is not ours to change"
    );
    assert_eq!(mode(&dir.path().join("a/b/s.sock.lock")), 0o600);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_second_server_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let first = Listener::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let error = Listener::bind(&path).unwrap_err();
    assert!(matches!(error, ListenError::InUse(_)), "{error}");
    assert!(
        error.to_string().contains("another server is listening"),
        "{error}"
    );
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    UnixStream::connect(&path).unwrap();
    first.accept().await.unwrap();
    drop(first);
    Listener::bind(&path).unwrap();
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_stranger_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    // Std's listener leaves its file, as a killed server does.
    let stranger = UnixListener::bind(&path).unwrap();
    let error = Listener::bind(&path).unwrap_err();
    assert!(matches!(error, ListenError::InUse(_)), "{error}");
    drop(stranger);
    assert!(path.exists());
    let listener = Listener::bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    // Someone puts another socket in our place: it is not ours to remove.
    fs::remove_file(&path).unwrap();
    let usurper = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(usurper);
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(
        Listener::bind(&file).unwrap_err(),
        ListenError::NotASocket(_)
    ));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let long = dir.path().join("x".repeat(120));
    let error = Listener::bind(&long).unwrap_err();
    assert!(
        matches!(error, ListenError::TooLong { .. })
            && error.to_string().contains("choose a shorter one"),
        "{error}"
    );
    let under = Listener::bind(&file.join("s.sock")).unwrap_err();
    assert!(
        under.to_string().contains("cannot create the directory"),
        "{under}"
    );
    // A lock that is a link elsewhere is not followed.
    let path = dir.path().join("linked.sock");
    std::os::unix::fs::symlink(&file, dir.path().join("linked.sock.lock")).unwrap();
    assert!(matches!(
        Listener::bind(&path).unwrap_err(),
        ListenError::Io { .. }
    ));
}

/// Run by the test below in a process of its own, with a socket passed.
#[tokio::test]
#[ignore = "needs a passed socket"]
async fn takes_a_passed_socket() {
    let path = std::env::var("PASSED").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let listener = Listener::bind(Path::new(&path)).unwrap();
    listener.accept().await.unwrap();
    drop(listener);
    assert_eq!(
        fs::metadata(&path).unwrap().ino(),
        inode,
        "who made the socket removes it"
    );
    println!("took it");
}

#[test]
fn a_passed_socket_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // The connection waits in the backlog: nobody need poll for readiness.
    let _client = UnixStream::connect(&path).unwrap();
    let output = Command::new("sh")
        .args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --ignored --exact takes_a_passed_socket --nocapture 3<&0"])
        .arg(std::env::current_exe().unwrap())
        .env("PASSED", &path)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("took it"),
        "{said}"
    );
}

/// Run by the test below in a process of its own, to be killed.
#[tokio::test]
#[ignore = "is killed"]
async fn holds_a_socket() {
    let listener = Listener::bind(Path::new(&std::env::var("PASSED").unwrap())).unwrap();
    loop {
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_server_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sock");
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holds_a_socket"])
        .env("PASSED", &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while UnixStream::connect(&path).is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "the server did not start"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        matches!(Listener::bind(&path).unwrap_err(), ListenError::InUse(_)),
        "it lives"
    );
    UnixStream::connect(&path).expect("the refused one displaced nobody");
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(path.exists(), "a killed server cannot tidy up");
    let listener = Listener::bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    listener.accept().await.unwrap();
}
