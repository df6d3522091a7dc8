//! A server's process, as it is started, watched and ended. Its standard input is its lifeline: closed, all of it ends.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Spec, program::program};
use crate::{
    executor::Executor,
    policy::ServerPolicy,
    sandbox::{Group, Level},
};

/// How long a server whose input is closed may take to be gone.
const GOING: Duration = Duration::from_secs(1);

pub(super) struct Process {
    child: Child,
    pub(super) pid: Option<u32>,
    /// All that it started is in there.
    _group: Option<Group>,
    /// Its root's place until it has one, or its scratch directory.
    _room: tempfile::TempDir,
}

pub(super) struct Pipes {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

impl Process {
    pub(super) async fn start(
        executor: &Executor,
        spec: &Spec,
        policy: &ServerPolicy,
    ) -> Result<(Self, Pipes), String> {
        let level = executor.supervisor.protection.level;
        let room =
            room(executor, level).map_err(|error| format!("no scratch directory: {error}"))?;
        let program = program(spec, policy, level, room.path().to_owned())?;
        let mut plan = serde_json::to_vec(&program).map_err(|error| error.to_string())?;
        plan.push(b'\n');
        let started = async {
            let mut child = Command::new("/proc/self/exe")
                .arg0("python-executor")
                .arg("server")
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let pid = child.id();
            // It has read nothing yet, so that all it takes is counted.
            let group = executor.supervisor.group(&program.limits).transpose()?;
            if let (Some(group), Some(pid)) = (&group, pid) {
                group.add(pid.cast_signed())?;
            }
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            let mut pipes = Pipes {
                input: child.stdin.take().ok_or_else(gone)?,
                output: child.stdout.take().ok_or_else(gone)?,
                errors: child.stderr.take().ok_or_else(gone)?,
            };
            pipes.input.write_all(&plan).await?;
            Ok((child, pid, group, pipes))
        };
        let (child, pid, group, pipes) = started
            .await
            .map_err(|error: io::Error| format!("it cannot be started: {error}"))?;
        let process = Self {
            child,
            pid,
            _group: group,
            _room: room,
        };
        Ok((process, pipes))
    }

    /// Sees it end, its input being closed.
    pub(super) async fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(status) = timeout(GOING, self.child.wait()).await {
            return status.ok();
        }
        let _ = self.child.start_kill();
        self.child.wait().await.ok()
    }
}

fn room(executor: &Executor, level: Level) -> io::Result<tempfile::TempDir> {
    match &executor.scratch {
        Some(scratch) if level != Level::Full => tempfile::tempdir_in(scratch),
        _ => tempfile::Builder::new().prefix("callspan-root-").tempdir(),
    }
}

/// Processor time of a server and of those children of its own that ended, by the process that watches over it.
pub(super) fn processor_time(watcher: u32) -> Option<Duration> {
    let below = std::fs::read_to_string(format!("/proc/{watcher}/task/{watcher}/children")).ok()?;
    let server = below.split_whitespace().next()?;
    let stat = std::fs::read_to_string(format!("/proc/{server}/stat")).ok()?;
    // Behind the name, which may have blanks in it: utime, stime, cutime and cstime are the fields 14 to 17 of all.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(4);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second().max(1),
    ))
}
