//! A running `ipc tap`, and what it says.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]
use std::{
    io::Read,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Tap {
    pub path: PathBuf,
    child: Mutex<Child>,
    pid: u32,
    _dir: TempDir,
}

pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub status: Option<i32>,
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Tap {
    /// Runs `ipc tap` in front of `upstream`, and waits until it listens.
    pub fn start(upstream: &Path, flags: &[&str]) -> Self {
        Self::start_with(upstream, flags, |_| {})
    }

    pub fn start_with(upstream: &Path, flags: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tap.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipc"));
        command.arg("tap").arg(&path).arg(upstream).args(flags);
        for name in ["NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let child = command.spawn().unwrap();
        until("the tap to listen", || listens(&path));
        Self {
            path,
            pid: child.id(),
            child: Mutex::new(child),
            _dir: dir,
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Nobody reads its stdout any more.
    pub fn close_stdout(&self) {
        drop(self.child.lock().unwrap().stdout.take());
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// SIGTERM, and what it said up to its end.
    pub fn stop(&self) -> Said {
        self.terminate();
        self.rest()
    }

    /// Reads stdout from now on, up to its end.
    pub fn reading(&self) -> JoinHandle<String> {
        let stdout = self.child.lock().unwrap().stdout.take().unwrap();
        thread::spawn(move || whole(stdout))
    }

    /// What it says up to its end.
    pub fn rest(&self) -> Said {
        let mut child = self.child.lock().unwrap();
        let stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || whole(stderr));
        let stdout = child.stdout.take().map(whole).unwrap_or_default();
        let status = child.wait().unwrap().code();
        Said {
            stdout,
            stderr: errors.join().unwrap(),
            status,
        }
    }
}

fn whole(mut reader: impl Read) -> String {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Whether a socket of that name accepts connections, without making one: the tap counts them. The file is there a
/// moment earlier.
fn listens(path: &Path) -> bool {
    const ACCEPTS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    let name = path.to_str().unwrap();
    sockets
        .lines()
        .any(|line| line.ends_with(name) && line.split(' ').nth(3) == Some(ACCEPTS))
}

/// Nobody listens on `path` any more. A process that another test is just starting may hold the listener for a moment
/// longer than its owner.
pub fn stale(path: &Path, listener: UnixListener) {
    drop(listener);
    until("the socket to be stale", || {
        UnixStream::connect(path).is_err()
    });
}

/// A line with its time and its latency, which no test knows, replaced by as many letters.
pub fn masked(line: &str) -> String {
    let (time, rest) = line.split_at(13);
    let digits = |at: usize| time.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    assert!(
        [0, 1, 3, 4, 6, 7, 9, 10, 11].into_iter().all(digits) && time.ends_with('Z'),
        "{line}"
    );
    let words: Vec<_> = rest.match_indices(" ms  ").collect();
    let rest = match words.first() {
        Some((at, _)) => {
            let start = rest[..*at].rfind(' ').unwrap();
            let before = rest[..start].trim_end();
            format!("{before}  LATENCY  {}", &rest[at + 5..])
        }
        None => rest.to_owned(),
    };
    format!("TIME{rest}")
}
