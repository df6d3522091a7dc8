//! One task from its start to its result. The truth comes from the kernel's wait status and from our clock; what the
//! child says is input like any other.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::pipe::{PipeFlags, pipe_with};
use serde::de::IgnoredAny;
use tokio::{io::AsyncReadExt, net::unix::pipe::Receiver, time};
use tokio_util::sync::CancellationToken;

use crate::{
    policy::Policy,
    protocol::{CallTask, Outcome, Task},
    sandbox::{Confinement, Isolation, Limits},
    supervisor::{Ended, Supervisor},
};

/// Bytes of a result that are taken.
pub(crate) const MAX_RESULT: usize = 1 << 20;
/// Bytes of each part of an error that are taken.
const MAX_ERROR: usize = 64 << 10;
/// What JSON may add to a result by escaping it once more, and the seal.
const MAX_FRAME: usize = 6 * MAX_RESULT + 4096;
/// How long a killed child may take to be gone before the zygote is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all calls share.
pub(crate) struct Executor {
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) isolation: Isolation,
    pub(crate) readable: Vec<PathBuf>,
    /// Where each call gets a directory of its own to write to. If this process is killed, the zygote removes it.
    pub(crate) scratch: tempfile::TempDir,
}

/// Which stream a piece of output was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// How a task ended, and what it left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) truncated: bool,
    pub(crate) wall: Duration,
    pub(crate) used: Option<Ended>,
}

#[derive(Debug)]
pub(crate) enum End {
    /// The child said this, and ended as it should.
    Said(Outcome),
    TimedOut,
    Cancelled,
    ZygoteLost,
    /// The child said nothing that counts, and ended with this wait status.
    Died(i32),
    /// It wrote something else than one result to where the result goes.
    Protocol(String),
}

impl Executor {
    /// Runs one task. `output` is given what the tool prints as it comes.
    pub(crate) async fn run(
        &self,
        file: PathBuf,
        call: Option<CallTask>,
        policy: &Policy,
        wall: Duration,
        cancelled: &CancellationToken,
        output: impl Fn(Stream, &str),
    ) -> io::Result<Finished> {
        let scratch = tempfile::tempdir_in(&self.scratch)?;
        let seal = format!("{:032x}\n", u128::from_ne_bytes(random()?));
        let task = Task {
            confinement: Confinement {
                isolation: self.isolation,
                readable: [self.readable.as_slice(), &policy.read].concat(),
                scratch: scratch.path().to_owned(),
                limits: Limits {
                    wall,
                    ..Limits::of(policy)
                },
            },
            file,
            call,
            seal: seal.clone(),
        };
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let (result, result_end) = pipe()?;
        let fds = [request(&task)?, stdout_end, stderr_end, result_end];
        let started = Instant::now();
        let supervisor = self.supervisor.clone();
        // The first call after a zygote was lost waits for the next.
        let mut running = tokio::task::spawn_blocking(move || supervisor.run(&fds))
            .await?
            .map_err(|error| io::Error::other(error.what))?;
        let most = (policy.output_kib << 10) as usize;
        let reading = async {
            tokio::join!(
                read_output(stdout, most, |text| output(Stream::Out, text)),
                read_output(stderr, most, |text| output(Stream::Err, text)),
                read_frame(result),
            )
        };
        tokio::pin!(reading);
        let mut read = None;
        let mut stopped = None;
        let mut patience = None;
        let used = loop {
            tokio::select! {
                ended = &mut running.ended => break ended.ok(),
                done = &mut reading, if read.is_none() => read = Some(done),
                () = time::sleep_until((started + wall).into()), if stopped.is_none() => {
                    stopped = Some(End::TimedOut);
                    patience = Some(time::Instant::now() + PATIENCE);
                    self.supervisor.kill(running.id);
                }
                () = cancelled.cancelled(), if stopped.is_none() => {
                    stopped = Some(End::Cancelled);
                    patience = Some(time::Instant::now() + PATIENCE);
                    self.supervisor.kill(running.id);
                }
                () = sleep_until(patience), if patience.is_some() => {
                    patience = None;
                    self.supervisor.give_up(running.id);
                }
            }
        };
        let wall = started.elapsed();
        // The child is gone, so its pipes are at their end: nothing else holds them.
        let (stdout, stderr, frame) = match read {
            Some(done) => done,
            None => reading.await,
        };
        let end = match (stopped, used) {
            (Some(stopped), _) => stopped,
            (None, None) => End::ZygoteLost,
            (None, Some(used)) => judge(&frame?, &seal, used.status),
        };
        Ok(Finished {
            end,
            truncated: stdout.1 || stderr.1,
            stdout: stdout.0,
            stderr: stderr.0,
            wall,
            used,
        })
    }
}

async fn sleep_until(at: Option<time::Instant>) {
    if let Some(at) = at {
        time::sleep_until(at).await;
    }
}

/// What counts of the frame, given how the child ended.
fn judge(frame: &[u8], seal: &str, status: i32) -> End {
    if frame.is_empty() {
        return End::Died(status);
    }
    let Some(json) = frame.strip_prefix(seal.as_bytes()) else {
        return End::Protocol("the tool wrote to the result's channel".to_owned());
    };
    match serde_json::from_slice(json) {
        // A result and a violent end contradict each other: the kernel is believed.
        Ok(outcome) if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 => {
            End::Said(bounded(outcome))
        }
        Ok(_) => End::Died(status),
        Err(error) => End::Protocol(format!(
            "the result's frame is not whole or not alone: {error}"
        )),
    }
}

/// Tool code runs in the process that says this, and can change what our code there makes of a result.
fn bounded(outcome: Outcome) -> Outcome {
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        text
    };
    match outcome {
        Outcome::Ok(json) if json.len() > MAX_RESULT => {
            Outcome::BadResult(format!("the result is larger than {MAX_RESULT} bytes"))
        }
        Outcome::Ok(json) => match serde_json::from_str::<IgnoredAny>(&json) {
            Ok(IgnoredAny) => Outcome::Ok(json),
            Err(_) => Outcome::BadResult("the result is not JSON".to_owned()),
        },
        Outcome::Exception {
            kind,
            message,
            traceback,
        } => Outcome::Exception {
            kind: cut(kind),
            message: cut(message),
            traceback: cut(traceback),
        },
        Outcome::BadResult(message) => Outcome::BadResult(cut(message)),
        Outcome::SandboxSetup(message) => Outcome::SandboxSetup(cut(message)),
    }
}

/// The task as a file in memory, to be read from its beginning.
fn request(task: &Task) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("callspan-request", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(&serde_json::to_vec(task)?)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if got == bytes.len() {
        Ok(bytes)
    } else {
        Err(io::Error::other("too few random bytes"))
    }
}

fn pipe() -> io::Result<(Receiver, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((Receiver::from_owned_fd(read)?, write))
}

/// Reads to the end; keeps and passes on the first `most` bytes. Tells whether there were more.
async fn read_output(mut pipe: Receiver, most: usize, output: impl Fn(&str)) -> (String, bool) {
    let mut buffer = vec![0; 16 << 10];
    let mut held: Vec<u8> = Vec::new();
    let (mut text, mut taken, mut truncated) = (String::new(), 0, false);
    // An error of a pipe is its end.
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        let n_kept = n.min(most - taken);
        truncated |= n_kept < n;
        taken += n_kept;
        held.extend_from_slice(buffer.get(..n_kept).unwrap_or_default());
        let whole = match std::str::from_utf8(&held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => held.len(),
        };
        let rest = held.split_off(whole);
        let piece = String::from_utf8_lossy(&std::mem::replace(&mut held, rest)).into_owned();
        output(&piece);
        text.push_str(&piece);
    }
    text.push_str(&String::from_utf8_lossy(&held));
    (text, truncated)
}

/// Reads the result's channel to its end; beyond its limit the rest is read away, and the frame is not whole.
async fn read_frame(mut pipe: Receiver) -> io::Result<Vec<u8>> {
    let mut frame = Vec::new();
    (&mut pipe)
        .take(MAX_FRAME as u64 + 1)
        .read_to_end(&mut frame)
        .await?;
    let mut buffer = vec![0; 16 << 10];
    while pipe.read(&mut buffer).await? > 0 {}
    frame.truncate(MAX_FRAME);
    Ok(frame)
}
