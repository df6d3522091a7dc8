//! Owns the zygote: starts it, hands it calls, and starts another when it is lost. It has no Python and never forks.

use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::sync::oneshot;

use crate::{
    interpreter::NoInterpreter,
    protocol::{Order, Report, receive, send},
};

/// How a child ended, as the kernel tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss_kib: u64,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Ended>>>>;

/// One zygote process, and who waits for its children.
struct Zygote {
    control: Arc<OwnedFd>,
    waiting: Waiting,
    process: Child,
}

impl Drop for Zygote {
    /// Its children die with it: each is told so by the kernel.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts children, through a zygote that is there when it is needed.
pub(crate) struct Supervisor {
    venv: PathBuf,
    package: PathBuf,
    scratch: PathBuf,
    zygote: Mutex<Option<Zygote>>,
    next: AtomicU64,
}

/// A child under way.
pub(crate) struct Running {
    pub(crate) id: u64,
    /// Closed without a value: the zygote is lost.
    pub(crate) ended: oneshot::Receiver<Ended>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// Starts the first zygote, so that what is wrong with the interpreter is known at once.
    pub(crate) fn start(
        venv: PathBuf,
        package: PathBuf,
        scratch: PathBuf,
    ) -> Result<Self, NoInterpreter> {
        let supervisor = Self {
            venv,
            package,
            scratch,
            zygote: Mutex::new(None),
            next: AtomicU64::new(1),
        };
        let zygote = supervisor.spawn()?;
        *locked(&supervisor.zygote) = Some(zygote);
        Ok(supervisor)
    }

    /// Starts a child; the descriptors are its request, stdout, stderr and result. Blocks while a lost zygote is
    /// replaced.
    pub(crate) fn run(&self, fds: &[OwnedFd]) -> Result<Running, NoInterpreter> {
        let mut slot = locked(&self.zygote);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut failure = None;
        // Once with the zygote that is there, once with a new one.
        for _ in 0..2 {
            let zygote = match slot.take() {
                Some(zygote) => slot.insert(zygote),
                None => slot.insert(self.spawn()?),
            };
            let (sender, ended) = oneshot::channel();
            locked(&zygote.waiting).insert(id, sender);
            match send(&zygote.control, &Order::Start { id }, fds) {
                Ok(()) => return Ok(Running { id, ended }),
                Err(error) => failure = Some(error),
            }
            *slot = None;
        }
        Err(NoInterpreter {
            what: format!(
                "the zygote takes no calls: {}",
                failure.map(|e| e.to_string()).unwrap_or_default()
            ),
            fix: "restart python-executor".to_owned(),
        })
    }

    /// Kills a child and all its threads.
    pub(crate) fn kill(&self, id: u64) {
        if let Some(zygote) = locked(&self.zygote).as_ref() {
            // A zygote that takes no orders is lost, and its children with it.
            let _ = send(&zygote.control, &Order::Kill { id }, &[]);
        }
    }

    /// Kills the zygote, if it still has this child: it did not do what it was told.
    pub(crate) fn give_up(&self, id: u64) {
        let mut slot = locked(&self.zygote);
        if slot
            .as_ref()
            .is_some_and(|zygote| locked(&zygote.waiting).contains_key(&id))
        {
            *slot = None;
        }
    }

    fn spawn(&self) -> Result<Zygote, NoInterpreter> {
        let failed = |error: io::Error| NoInterpreter {
            what: format!("cannot start the zygote: {error}"),
            fix: "see that this program's file is still there".to_owned(),
        };
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| failed(error.into()))?;
        let process = Command::new("/proc/self/exe")
            .arg0("python-executor")
            .arg("zygote")
            .arg(&self.venv)
            .arg(&self.package)
            .arg(&self.scratch)
            .env_clear()
            .envs([
                ("LANG", "C.UTF-8"),
                ("OMP_NUM_THREADS", "1"),
                ("OPENBLAS_NUM_THREADS", "1"),
                ("MKL_NUM_THREADS", "1"),
            ])
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let zygote = Zygote {
            control: Arc::new(ours),
            waiting: Waiting::default(),
            process,
        };
        match receive::<Report>(&zygote.control).map_err(failed)? {
            Some((Report::Ready { .. }, _)) => {}
            Some((Report::Failed { what, fix }, _)) => return Err(NoInterpreter { what, fix }),
            _ => {
                return Err(failed(io::Error::other(
                    "it ended before it was ready; see its message above",
                )));
            }
        }
        let (control, waiting) = (zygote.control.clone(), zygote.waiting.clone());
        thread::Builder::new()
            .name("zygote-reports".to_owned())
            .spawn(move || listen(&control, &waiting))
            .map_err(failed)?;
        Ok(zygote)
    }
}

/// Passes on how children ended, until the zygote is gone.
fn listen(control: &OwnedFd, waiting: &Waiting) {
    while let Ok(Some((report, _))) = receive::<Report>(control) {
        if let Report::Ended {
            id,
            status,
            cpu_us,
            max_rss_kib,
        } = report
            && let Some(sender) = locked(waiting).remove(&id)
        {
            let _ = sender.send(Ended {
                status,
                cpu_us,
                max_rss_kib,
            });
        }
    }
    // Whoever still waits learns of it by the closed channel.
    locked(waiting).clear();
}
