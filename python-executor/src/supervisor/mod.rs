//! Owns the zygotes: starts them, has them start children, and puts another in the place of one that is lost or stuck.
//! It has no Python and never forks. Where there are no zygotes each child is a program started anew, and what makes them
//! (`Maker`) is neither lost nor stuck.

mod channel;
mod child;
mod output;
mod process;
#[cfg(not(zygotes))]
mod workers;
#[cfg(zygotes)]
mod zygotes;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::net::{UnixStream, unix::pipe::Receiver};

pub(crate) use channel::{Channel, Said};
pub(crate) use child::{Child, Cold};
pub(crate) use output::Output;
pub(crate) use process::{PATIENCE, Process, Usage};
#[cfg(not(zygotes))]
pub(crate) use workers::{Handle, Workshop as Maker};
#[cfg(zygotes)]
pub(crate) use zygotes::{Handle, Zygote as Maker};

use crate::{
    interpreter::NoInterpreter,
    protocol::{
        channel::{Kind, SEAL, Seal, frame},
        work::Warm,
    },
    sandbox::{
        Cgroups, Grant, Group, Isolation, Lack, Level, Limits, Plan, Protection, Unavailable,
    },
};

/// How nice a process is that gives way: it gets a tenth of what another gets.
const CALM: i32 = 10;

/// How long a zygote or a worker may take to start its Python and what is preloaded.
const START: Duration = Duration::from_mins(1);
/// All that those have of an environment, beside what their system needs.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("LANG", "C.UTF-8"),
    ("OMP_NUM_THREADS", "1"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("MKL_NUM_THREADS", "1"),
];

/// Why there is nothing that makes children.
#[derive(Debug)]
enum NoMaker {
    Unavailable(Unavailable),
    NoInterpreter(NoInterpreter),
}

impl From<NoMaker> for NoInterpreter {
    fn from(no: NoMaker) -> Self {
        match no {
            NoMaker::NoInterpreter(no) => no,
            NoMaker::Unavailable(lacks) => Self {
                what: format!("tools cannot be confined as asked: {}", lacks.why()),
                fix: lacks.cure(),
            },
        }
    }
}

/// A child's process, and what it is to be given beside the first frame.
struct Made {
    process: Process,
    beside: Option<OwnedFd>,
}

/// Starts children, through zygotes that are there when they are needed.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// What every zygote is started with, and how many of them.
    plan: Mutex<Plan>,
    most: usize,
    pub(crate) protection: Protection,
    zygotes: Mutex<Vec<Arc<Maker>>>,
    /// Held while one is put in the place of a lost one, so that whoever else misses it waits for the same.
    replacing: tokio::sync::Mutex<()>,
    /// Behind the zygotes: they are in its groups, and have to be gone first.
    groups: Option<Cgroups>,
    next: AtomicU64,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// Starts the zygotes, so that what is wrong with the interpreter is known at once.
    pub(crate) fn start(
        mut plan: Plan,
        isolation: Isolation,
        zygotes: usize,
        groups: Result<Cgroups, Lack>,
    ) -> Result<Arc<Self>, NoInterpreter> {
        let (groups, no_groups) = match groups {
            Ok(groups) => (Some(groups), None),
            Err(lack) => (None, Some(lack)),
        };
        let most = if cfg!(zygotes) { zygotes.max(1) } else { 1 };
        plan.level = match isolation {
            Isolation::Auto | Isolation::Full => Level::Full,
            Isolation::Reduced => Level::Reduced,
            Isolation::SeatbeltUnverified => Level::SeatbeltUnverified,
            Isolation::None => Level::None,
        };
        let mut lacks = Vec::new();
        let zygotes = match spawn(&plan, most) {
            Err(NoMaker::Unavailable(missing)) if isolation == Isolation::Auto => {
                lacks = missing.0;
                plan.level = Level::Reduced;
                spawn(&plan, most)?
            }
            other => other?,
        };
        Ok(Arc::new(Self {
            protection: Protection {
                level: plan.level,
                limits_threads: zygotes.iter().all(|zygote| zygote.limits_threads()),
                lacks,
                no_groups,
            },
            plan: Mutex::new(plan),
            most,
            zygotes: Mutex::new(zygotes),
            replacing: <_>::default(),
            groups,
            next: AtomicU64::new(1),
        }))
    }

    /// From now on calls may be granted these, and what they could before. Blocks while zygotes are started that have
    /// them; calls under way go on with the old ones.
    pub(crate) fn grant(&self, grants: Vec<Grant>) -> Result<(), NoInterpreter> {
        let mut plan = locked(&self.plan).clone();
        let before = plan.granted.len();
        plan.granted.extend(grants);
        plan.granted.sort();
        plan.granted.dedup();
        if plan.granted.len() == before {
            return Ok(());
        }
        let zygotes = spawn(&plan, self.most)?;
        *locked(&self.plan) = plan;
        *locked(&self.zygotes) = zygotes;
        Ok(())
    }

    /// Starts a child and tells it what it is to be. It gets warm by itself.
    pub(crate) async fn child(self: &Arc<Self>, mut warm: Warm) -> io::Result<Child> {
        warm.seal = seal()?;
        // Once with a zygote that is there, once with a new one.
        let mut failure = None;
        for _ in 0..2 {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let zygote = self.zygote(id).await?;
            let limits = &warm.confinement.limits;
            let group = self.groups.as_ref().map(|groups| groups.create(id, limits));
            match self.try_child(id, &zygote, &warm, group.transpose()?).await {
                Ok(child) => return Ok(child),
                Err(error) => failure = Some(error),
            }
            self.retire(&zygote);
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::Other.into()))
    }

    async fn try_child(
        &self,
        id: u64,
        zygote: &Arc<Maker>,
        warm: &Warm,
        group: Option<Group>,
    ) -> io::Result<Child> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let (stdout, stdout_end) = pipe()?;
        let (stderr, stderr_end) = pipe()?;
        let task = frame(&[], Kind::Warm, &[&serde_json::to_vec(warm)?]);
        let fds = [theirs.into(), stdout_end, stderr_end];
        let Made { process, beside } = zygote.make(id, fds, &warm.confinement).await?;
        if let Some(group) = &group {
            // It has read nothing yet, so that all it takes is counted.
            let pid = process.pid().ok_or(io::ErrorKind::NotFound)?;
            group.add(pid)?;
        }
        let mut child = Child {
            group,
            zygote: zygote.clone(),
            channel: Channel::new(ours, warm.seal),
            outputs: [stdout, stderr].map(Output::new),
            process,
            warm: false,
            cpu_before_us: 0,
            scratch: None,
        };
        child.channel.write(task, beside);
        Ok(child)
    }

    /// The one whose turn it is; in the place of one that is lost there is a new one.
    async fn zygote(self: &Arc<Self>, turn: u64) -> io::Result<Arc<Maker>> {
        if let Some(zygote) = self.present(turn) {
            return Ok(zygote);
        }
        let _replacing = self.replacing.lock().await;
        if let Some(zygote) = self.present(turn) {
            return Ok(zygote);
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            let plan = locked(&this.plan).clone();
            let zygote = Maker::spawn(&plan).map(Arc::new).map_err(|no| {
                let no = NoInterpreter::from(no);
                io::Error::other(format!("{}; fix: {}", no.what, no.fix))
            })?;
            locked(&this.zygotes).push(zygote.clone());
            Ok(zygote)
        })
        .await?
    }

    /// The one whose turn it is, if none is lost.
    fn present(&self, turn: u64) -> Option<Arc<Maker>> {
        let mut zygotes = locked(&self.zygotes);
        zygotes.retain(|zygote| !zygote.is_lost());
        if zygotes.len() < self.most {
            return None;
        }
        zygotes.get(turn as usize % zygotes.len()).cloned()
    }

    /// A group for a process that is no child of a zygote's; nothing where there are none.
    pub(crate) fn group(&self, limits: &Limits) -> Option<io::Result<Group>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.groups.as_ref().map(|groups| groups.create(id, limits))
    }

    /// Gives a zygote no more orders. Its children's calls go on; with the last of them it is killed.
    pub(crate) fn retire(&self, zygote: &Arc<Maker>) {
        zygote.close();
        locked(&self.zygotes).retain(|other| !Arc::ptr_eq(other, zygote));
    }
}

fn spawn(plan: &Plan, zygotes: usize) -> Result<Vec<Arc<Maker>>, NoMaker> {
    // All at once: most of a start is Python's, on a processor of its own.
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..zygotes)
            .map(|_| scope.spawn(|| Maker::spawn(plan).map(Arc::new)))
            .collect();
        starting
            .into_iter()
            .map(|one| {
                one.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

fn seal() -> io::Result<Seal> {
    let mut seal = [0; SEAL];
    getrandom::fill(&mut seal)?;
    Ok(seal)
}

fn pipe() -> io::Result<(Receiver, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((Receiver::from_owned_fd(read.into())?, write.into()))
}
