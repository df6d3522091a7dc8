//! Where there are no zygotes, because a process may not go on in a copy of itself without exec (macOS): each child is
//! this program started anew, as `worker`. At the level `seatbelt-unverified` it is `sandbox-exec` that becomes it, under
//! a profile of its own; with isolation none it is started as it is.

mod handle;

use std::{
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub(crate) use handle::Handle;

use super::{ENVIRONMENT, Made, NoMaker, Process, START};
use crate::{
    interpreter::NoInterpreter,
    policy::Policy,
    sandbox::{
        Confinement, Lack, Level, Limits, Plan, Unavailable,
        seatbelt::{self, Profile},
    },
    worker::Trial,
};

/// Starts workers.
#[derive(Debug)]
pub(crate) struct Workshop {
    plan: Plan,
    program: PathBuf,
}

impl Workshop {
    /// Blocks until one worker has shown that Python starts.
    pub(super) fn spawn(plan: &Plan) -> Result<Self, NoMaker> {
        let failed = |error: io::Error| {
            NoMaker::NoInterpreter(NoInterpreter {
                what: format!("cannot start a worker: {error}"),
                fix: "see that this program's file is still there".to_owned(),
            })
        };
        let confines = seatbelt::program();
        if plan.level != Level::None && !confines.exists() {
            let why = format!("there is no {}", confines.display());
            let lack = Lack::new("Seatbelt", why, "run python-executor on macOS");
            return Err(NoMaker::Unavailable(Unavailable(vec![lack])));
        }
        let workshop = Self {
            plan: plan.clone(),
            program: std::env::current_exe().map_err(failed)?,
        };
        workshop
            .try_one()
            .map_err(failed)?
            .map_err(NoMaker::NoInterpreter)?;
        Ok(workshop)
    }

    fn try_one(&self) -> io::Result<Result<(), NoInterpreter>> {
        let (mut ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(START))?;
        let nothing = Confinement {
            scratch: self.plan.scratch.clone(),
            grants: Vec::new(),
            limits: Limits::of(&Policy::default()),
        };
        let mut command = self.command(&nothing)?;
        command
            .arg("--trial")
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(theirs));
        let mut child = command.spawn()?;
        drop(command);
        let mut told = Vec::new();
        let read = ours.read_to_end(&mut told);
        let _ = child.kill();
        child.wait()?;
        read?;
        match serde_json::from_slice(&told) {
            Ok(Trial::Started) => Ok(Ok(())),
            Ok(Trial::Failed { what, fix }) => Ok(Err(NoInterpreter { what, fix })),
            Err(_) => Err(io::Error::other(
                "it ended before it was ready; see its message above",
            )),
        }
    }

    /// The worker, confined as asked, with nothing of our environment.
    fn command(&self, confinement: &Confinement) -> io::Result<Command> {
        let Plan {
            level,
            venv,
            package,
            preload,
            ..
        } = &self.plan;
        let mut command = if *level == Level::None {
            Command::new(&self.program)
        } else {
            let profile = Profile::of(&self.plan, &self.program, confinement)?;
            let mut command = Command::new(seatbelt::program());
            command.args(profile.arguments()).arg(&self.program);
            command
        };
        command
            .arg("worker")
            .args([Path::new("--venv"), &venv.canonicalize()?])
            .args([Path::new("--package"), &package.canonicalize()?])
            .args(preload.iter().map(|module| format!("--preload={module}")))
            .env_clear()
            .envs(ENVIRONMENT)
            .env("VECLIB_MAXIMUM_THREADS", "1")
            .current_dir("/");
        Ok(command)
    }

    /// A child; the descriptors are its channel, stdout and stderr.
    #[expect(clippy::unused_async, reason = "a zygote is waited for")]
    pub(super) async fn make(
        &self,
        _id: u64,
        fds: [OwnedFd; 3],
        confinement: &Confinement,
    ) -> io::Result<Made> {
        let [channel, stdout, stderr] = fds;
        let (theirs, lifeline) = io::pipe()?;
        let child = self
            .command(confinement)?
            .stdin(channel)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        let (handle, ended) = Handle::new(child, lifeline.into())?;
        Ok(Made {
            process: Process::new(handle, ended),
            beside: Some(theirs.into()),
        })
    }

    #[expect(clippy::unused_self, reason = "a zygote knows")]
    pub(super) fn limits_threads(&self) -> bool {
        false
    }

    /// There is nothing that could be.
    #[expect(clippy::unused_self, reason = "a zygote can be")]
    pub(crate) fn is_lost(&self) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "a zygote has those that wait for it")]
    pub(super) fn close(&self) {}
}
