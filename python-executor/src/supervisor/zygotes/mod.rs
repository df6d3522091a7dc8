//! The supervisor's handle of one zygote: starts the process, hands it orders, and passes on what it reports.

mod handle;

use std::{
    collections::HashMap,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use tokio::{
    sync::{Semaphore, oneshot},
    time,
};

pub(crate) use handle::Handle;

use super::{ENVIRONMENT, Made, NoMaker, Process, START, locked};
use crate::{
    interpreter::NoInterpreter,
    protocol::{
        Ended,
        control::{Order, Report, order, receive},
    },
    sandbox::{Confinement, Level, Plan, ablation},
};

/// How long a zygote may take to fork. One that takes longer is stuck.
const FORK: Duration = Duration::from_secs(1);

/// Orders that wait at a zygote at once. It takes one after the other; those that waited behind hundreds would seem to
/// be stuck.
const ORDERS: usize = 8;

/// One zygote process, and who waits for its children.
#[derive(Debug)]
pub(crate) struct Zygote {
    control: Arc<OwnedFd>,
    board: Arc<Board>,
    process: Mutex<Child>,
    turns: Semaphore,
    limits_threads: bool,
}

/// Who waits for what of a zygote. Nobody, once it is gone.
#[derive(Debug, Default)]
struct Board(Mutex<Option<HashMap<u64, Waiter>>>);

#[derive(Debug)]
struct Waiter {
    started: Option<oneshot::Sender<Result<OwnedFd, String>>>,
    ended: oneshot::Sender<Ended>,
}

/// A child that was ordered.
#[derive(Debug)]
struct Ordered {
    /// A handle of its process, or why there is none; closed without a value: the zygote is lost.
    started: oneshot::Receiver<Result<OwnedFd, String>>,
    ended: oneshot::Receiver<Ended>,
}

impl Drop for Zygote {
    /// Its children die with it: each is told so by the kernel.
    fn drop(&mut self) {
        let mut process = locked(&self.process);
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Zygote {
    /// Blocks until Python is up.
    pub(super) fn spawn(plan: &Plan) -> Result<Self, NoMaker> {
        let failed = |error: io::Error| {
            NoMaker::NoInterpreter(NoInterpreter {
                what: format!("cannot start the zygote: {error}"),
                fix: "see that this program's file is still there".to_owned(),
            })
        };
        let mut plan = plan.clone();
        // The zygote removes it; if it comes to nothing, this does.
        let mut root = None;
        if plan.level == Level::Full {
            let made = tempfile::Builder::new().prefix("callspan-root-").tempdir();
            let made = root.insert(made.map_err(failed)?);
            made.path().clone_into(&mut plan.scratch);
        }
        let told = serde_json::to_string(&plan).map_err(|error| failed(error.into()))?;
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| failed(error.into()))?;
        let mut command = Command::new("/proc/self/exe");
        if !ablation::off("cleared environment") {
            command.env_clear();
        }
        #[cfg(feature = "ablation")]
        command.env(ablation::VARIABLE, ablation::named());
        let process = command
            .arg0("python-executor")
            .arg("zygote")
            .arg(told)
            .envs(ENVIRONMENT)
            // Tools may not call rseq, and glibc ends a process whose new thread cannot have it.
            .env("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut zygote = Self {
            control: Arc::new(ours),
            board: Arc::new(Board(Mutex::new(Some(HashMap::new())))),
            process: Mutex::new(process),
            turns: Semaphore::new(ORDERS),
            limits_threads: false,
        };
        let socket = zygote.control.clone();
        let patience = |time| {
            sockopt::set_socket_timeout(socket.as_fd(), sockopt::Timeout::Recv, time)
                .map_err(|error| failed(error.into()))
        };
        patience(Some(START))?;
        let first = receive::<Report>(&zygote.control).map_err(failed)?;
        match first {
            Some((Report::Ready { limits_threads, .. }, _)) => {
                zygote.limits_threads = limits_threads;
            }
            Some((Report::Failed { what, fix }, _)) => {
                return Err(NoMaker::NoInterpreter(NoInterpreter { what, fix }));
            }
            Some((Report::Unavailable(lacks), _)) => return Err(NoMaker::Unavailable(lacks)),
            _ => {
                return Err(failed(io::Error::other(
                    "it ended before it was ready; see its message above",
                )));
            }
        }
        patience(None)?;
        let (control, board) = (zygote.control.clone(), zygote.board.clone());
        thread::Builder::new()
            .name("zygote-reports".to_owned())
            .spawn(move || board.listen(&control))
            .map_err(failed)?;
        Ok(zygote)
    }

    /// Whether its children can have no more threads than they may.
    pub(super) fn limits_threads(&self) -> bool {
        self.limits_threads
    }

    pub(crate) fn is_lost(&self) -> bool {
        locked(&self.board.0).is_none()
    }

    /// A child; the descriptors are its channel, stdout and stderr. It confines itself, by what it reads first.
    pub(super) async fn make(
        &self,
        id: u64,
        fds: [OwnedFd; 3],
        _confinement: &Confinement,
    ) -> io::Result<Made> {
        // One that is stuck has taken no more orders than a few, and the others find another.
        let lost = |_closed| io::Error::other("the zygote was lost");
        let _turn = self.turns.acquire().await.map_err(lost)?;
        let ordered = self.order(id, &fds)?;
        drop(fds);
        let process = match time::timeout(FORK, ordered.started).await {
            Ok(Ok(Ok(process))) => process,
            Ok(Ok(Err(why))) => return Err(io::Error::other(why)),
            Ok(Err(_)) => return Err(io::Error::other("the zygote was lost")),
            Err(_) => return Err(io::Error::other("the zygote is stuck")),
        };
        Ok(Made {
            process: Process::new(Handle::new(process), ordered.ended),
            beside: None,
        })
    }

    /// Nobody waits for its turn any more.
    pub(super) fn close(&self) {
        self.turns.close();
    }

    /// Orders a child. An error: it takes no orders.
    fn order(&self, id: u64, fds: &[OwnedFd]) -> io::Result<Ordered> {
        let (started_sender, started) = oneshot::channel();
        let (ended_sender, ended) = oneshot::channel();
        let waiter = Waiter {
            started: Some(started_sender),
            ended: ended_sender,
        };
        locked(&self.board.0)
            .as_mut()
            .ok_or(io::ErrorKind::BrokenPipe)?
            .insert(id, waiter);
        order(&self.control, &Order::Start { id }, fds).inspect_err(|_| self.forget(id))?;
        Ok(Ordered { started, ended })
    }

    fn forget(&self, id: u64) {
        if let Some(waiters) = locked(&self.board.0).as_mut() {
            waiters.remove(&id);
        }
    }
}

impl Board {
    /// Passes on what the zygote reports, until it is gone.
    fn listen(&self, control: &OwnedFd) {
        while let Ok(Some((report, fds))) = receive::<Report>(control) {
            let mut board = locked(&self.0);
            let Some(waiters) = board.as_mut() else {
                return;
            };
            match report {
                Report::Started { id } => {
                    let handle = fds.into_iter().next().ok_or("no handle came".to_owned());
                    tell_started(waiters, id, handle);
                }
                Report::NotStarted { id, why } => {
                    tell_started(waiters, id, Err(why));
                    waiters.remove(&id);
                }
                Report::Ended { id, ended } => {
                    if let Some(waiter) = waiters.remove(&id) {
                        let _ = waiter.ended.send(ended);
                    }
                }
                Report::Ready { .. } | Report::Failed { .. } | Report::Unavailable(_) => {}
            }
        }
        // Whoever still waits learns of it by the closed channels.
        *locked(&self.0) = None;
    }
}

fn tell_started(waiters: &mut HashMap<u64, Waiter>, id: u64, handle: Result<OwnedFd, String>) {
    if let Some(started) = waiters
        .get_mut(&id)
        .and_then(|waiter| waiter.started.take())
    {
        let _ = started.send(handle);
    }
}
