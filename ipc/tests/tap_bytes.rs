//! What `ipc tap` does to the bytes: nothing. A peer that is not ours, so that both ends of the wire are in hand.
#![allow(clippy::unwrap_used, reason = "tests")]
mod tapping;

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
    time::Duration,
};

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tapping::{PATIENCE, Tap, stale, until};
use tempfile::{TempDir, tempdir};

/// A listening socket, and a tap in front of it.
fn tapped(flags: &[&str]) -> (UnixListener, Tap, TempDir) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("up");
    let listener = UnixListener::bind(&path).unwrap();
    let tap = Tap::start(&path, flags);
    (listener, tap, dir)
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn accept(listener: &UnixListener) -> UnixStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes `chunks` and says that this was all, while reading up to the end of what comes.
fn exchange(stream: &UnixStream, chunks: &[Vec<u8>]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = stream;
            for chunk in chunks {
                writer.write_all(chunk).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut came = Vec::new();
        let mut reader = stream;
        reader.read_to_end(&mut came).unwrap();
        came
    })
}

fn both_ways(
    listener: &UnixListener,
    tap: &Tap,
    up: &[Vec<u8>],
    down: &[Vec<u8>],
) -> (Vec<u8>, Vec<u8>) {
    let client = connect(&tap.path);
    thread::scope(|scope| {
        let server = scope.spawn(|| exchange(&accept(listener), down));
        let came_down = exchange(&client, up);
        (server.join().unwrap(), came_down)
    })
}

/// Chunks as peers of all kinds may write them.
fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let json = Just(b"{\"id\":1,\"ping\":{}}\n".to_vec());
    let binary = Just(vec![0, 0, 0, 4, 8, 1, 0x4a, 0]);
    vec(
        prop_oneof![
            vec(any::<u8>(), 1..300),
            json,
            binary,
            vec(any::<u8>(), 1..3)
        ],
        0..12,
    )
}

#[test]
fn bytes_are_verbatim_however_they_are_cut() {
    let (listener, tap, _dir) = tapped(&[]);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(200));
    runner
        .run(&(chunks(), chunks()), |(up, down)| {
            let (came_up, came_down) = both_ways(&listener, &tap, &up, &down);
            prop_assert_eq!(came_up, up.concat());
            prop_assert_eq!(came_down, down.concat());
            Ok(())
        })
        .unwrap();
    assert_eq!(tap.stop().status, Some(0));
}

#[test]
fn ten_megabytes_both_ways_at_once_are_verbatim() {
    for flags in [&[][..], &["--queue-bytes", "0"], &["--format", "hex"]] {
        let (listener, tap, _dir) = tapped(flags);
        // Ten megabytes of lines, which the tap tries to understand.
        let line = |at: u32| {
            format!(
                "{{\"id\":{at},\"ping\":{{\"payload\":\"{:x}\"}}}}\n",
                at.wrapping_mul(2_654_435_761)
            )
        };
        let lines: Vec<u8> = (0..200_000).flat_map(|at| line(at).into_bytes()).collect();
        let lines: Vec<_> = lines.chunks(7001).map(<[u8]>::to_vec).collect();
        // And of nothing that it could.
        let noise: Vec<u8> = (0..10_000_000_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let noise: Vec<_> = noise.chunks(65_537).map(<[u8]>::to_vec).collect();
        let output = tap.reading();
        let (up, down) = both_ways(&listener, &tap, &lines, &noise);
        assert!(up == lines.concat(), "{flags:?}");
        assert!(down == noise.concat(), "{flags:?}");
        assert_eq!(tap.stop().status, Some(0), "{flags:?}");
        output.join().unwrap();
    }
}

#[test]
fn who_has_said_all_still_hears_the_answer() {
    let (listener, tap, _dir) = tapped(&[]);
    let client = connect(&tap.path);
    let server = accept(&listener);
    (&client).write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut question = String::new();
    (&server).read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    // The other way is still open.
    thread::sleep(Duration::from_millis(50));
    (&server).write_all(b"answer").unwrap();
    drop(server);
    let mut answer = String::new();
    (&client).read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

#[test]
fn a_server_that_has_said_all_still_hears_the_client() {
    let (listener, tap, _dir) = tapped(&[]);
    let client = connect(&tap.path);
    let server = accept(&listener);
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    thread::sleep(Duration::from_millis(50));
    (&client).write_all(b"still here").unwrap();
    drop(client);
    let mut heard = String::new();
    (&server).read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "still here");
}

#[test]
fn a_client_that_is_gone_is_gone_for_the_server() {
    let (listener, tap, _dir) = tapped(&[]);
    let client = connect(&tap.path);
    let server = accept(&listener);
    (&client).write_all(b"last words").unwrap();
    drop(client);
    let mut words = String::new();
    (&server).read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    // Not only that it says no more: nobody hears, as without a tap.
    until("the server to be told", || {
        (&server).write_all(b"anyone?").is_err()
    });
}

#[test]
fn a_server_that_is_gone_is_gone_for_the_client() {
    let (listener, tap, _dir) = tapped(&[]);
    let client = connect(&tap.path);
    let server = accept(&listener);
    (&server).write_all(b"last words").unwrap();
    drop(server);
    let mut words = String::new();
    (&client).read_to_string(&mut words).unwrap();
    assert_eq!(words, "last words");
    until("the client to be told", || {
        (&client).write_all(b"anyone?").is_err()
    });
}

#[test]
fn a_server_that_comes_later_is_found_and_one_that_is_absent_is_named() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("up");
    let tap = Tap::start(&path, &[]);
    let mut nothing = Vec::new();
    connect(&tap.path).read_to_end(&mut nothing).unwrap();
    assert_eq!(nothing, b"");
    let listener = UnixListener::bind(&path).unwrap();
    let (up, down) = both_ways(&listener, &tap, &[b"up".to_vec()], &[b"down".to_vec()]);
    assert_eq!((&up[..], &down[..]), (&b"up"[..], &b"down"[..]));
    stale(&path, listener);
    connect(&tap.path).read_to_end(&mut nothing).unwrap();
    let said = tap.stop();
    assert_eq!(said.status, Some(0));
    let lines: Vec<_> = said.stderr.lines().collect();
    let shown = path.display();
    assert_eq!(
        lines,
        [
            format!(
                "ipc tap: connection 1: closed: cannot connect to {shown}: there is no such file: start the server, or \
                 check the path"
            ),
            format!(
                "ipc tap: connection 3: closed: cannot connect to {shown}: the socket is stale: nobody listens on it: \
                 start the server again; it replaces the file"
            ),
        ]
    );
}

#[test]
fn a_hundred_connections_at_once_keep_apart() {
    let (listener, tap, _dir) = tapped(&[]);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let server = accept(&listener);
                scope.spawn(move || {
                    let mut heard = Vec::new();
                    (&server).read_to_end(&mut heard).unwrap();
                    (&server).write_all(&heard).unwrap();
                });
            }
        });
        for at in 0..100_u8 {
            let tap = &tap;
            scope.spawn(move || {
                let said = vec![at; 10_000];
                assert!(exchange(&connect(&tap.path), std::slice::from_ref(&said)) == said);
            });
        }
    });
}
