//! A zygote's jail, from the first step in a bare process to the last in each child. What can be done once is done in
//! the zygote; a child only adds what is its own, and then confines itself for good.

use std::{
    fs,
    io::{self, Read, Seek},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use landlock::RulesetCreated;
use rustix::{
    fs::Mode,
    process::{
        Pid, PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal, setsid, umask,
    },
    system::sethostname,
    thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe},
};

use super::{
    Confinement, Filters, ablation,
    forbidden::namespaces as unavailable,
    inside::{BOX, Inside},
    landlock as rules, limits,
    namespaces::{Identity, can_count_apart, count_apart, separate},
    nanny,
    plan::{Level, Plan},
    privileges,
    readable::{self, Unreadable},
    refusal::missing,
    room,
    root::{self, DEVICES, Failed, Staged},
    unavailable::{Lack, Unavailable},
};

/// The name of the machine inside.
pub(super) const HOSTNAME: &[u8] = b"callspan";
/// Anyone may write there.
pub(super) const NULL: &str = "/dev/null";

pub(crate) struct Jail {
    plan: Plan,
    inside: Inside,
    /// The process itself, as its own files of /proc tell of it: there is no /proc inside. Until the jail is closed.
    proc: Option<Proc>,
    address_space: u64,
    filters: Filters,
    full: Option<Full>,
}

/// What only a full jail has.
struct Full {
    process: OwnedFd,
    staged: Vec<Staged>,
    /// Each child's threads can be counted apart from those of others.
    counts_threads: bool,
    /// For all children that have no grants.
    rules: Option<RulesetCreated>,
}

struct Proc {
    tasks: OwnedFd,
    statm: fs::File,
}

impl Proc {
    fn open() -> io::Result<Self> {
        Ok(Self {
            tasks: fs::File::open("/proc/self/task")?.into(),
            statm: fs::File::open("/proc/self/statm")?,
        })
    }
}

/// Why there is no jail.
#[derive(Debug)]
pub(crate) enum NoJail {
    /// The machine cannot give this level.
    Unavailable(Unavailable),
    /// It can, but its user could not read what it is to read.
    Unreadable(Unreadable),
}

impl From<Unavailable> for NoJail {
    fn from(lacks: Unavailable) -> Self {
        Self::Unavailable(lacks)
    }
}

impl From<Unreadable> for NoJail {
    fn from(no: Unreadable) -> Self {
        Self::Unreadable(no)
    }
}

/// Puts the calling process, which must have one thread and nothing of Python yet, into the jail. Full: what goes on
/// from here is a child of the process that called. That one stays behind and watches: it ends as its child ends, and
/// kills it when the other end of `lifeline` is closed.
pub(crate) fn enter(plan: &Plan, lifeline: BorrowedFd<'_>) -> Result<Jail, NoJail> {
    if plan.level != Level::None {
        let missing = missing();
        if !missing.is_empty() {
            return Err(Unavailable(missing).into());
        }
    }
    let filters = Filters::compile().map_err(|what| {
        Unavailable::of(Lack::new(
            "seccomp",
            what,
            "use an x86-64 or aarch64 machine",
        ))
    })?;
    let inside = Inside::of(plan);
    let full = match plan.level {
        Level::Full => Some(wall_off(plan, &inside, lifeline)?),
        Level::Reduced | Level::SeatbeltUnverified | Level::None => None,
    };
    let (proc, full) = match full {
        Some((proc, full)) => (proc, Some(full)),
        None => (
            Proc::open().map_err(|error| unavailable("/proc", &error))?,
            None,
        ),
    };
    Ok(Jail {
        plan: plan.clone(),
        inside,
        proc: Some(proc),
        address_space: 0,
        filters,
        full,
    })
}

/// Namespaces and the private root.
fn wall_off(
    plan: &Plan,
    inside: &Inside,
    lifeline: BorrowedFd<'_>,
) -> Result<(Proc, Full), NoJail> {
    // A terminal's signals are the supervisor's to handle. It fails only where there is a session already.
    let _ = setsid();
    let identity = separate()?;
    // SAFETY: this process has one thread, so that its copy finds no lock held.
    match unsafe { libc::fork() } {
        0 => {}
        pid => match Pid::from_raw(pid) {
            Some(zygote) if pid > 0 => nanny::watch(zygote, lifeline, Some(identity)),
            _ => return Err(unavailable("fork", &io::Error::last_os_error()).into()),
        },
    }
    let settled =
        settle(plan, inside, identity).map_err(|(step, error)| unavailable(&step, &error))?;
    if identity.is_another_user() {
        for (inside, host) in [
            (&inside.venv, &plan.venv),
            (&inside.package, &plan.package),
            (&inside.tools, &plan.tools),
        ] {
            readable::check(inside, host)?;
        }
    }
    Ok(settled)
}

/// The first process of the new namespaces makes itself at home.
fn settle(plan: &Plan, inside: &Inside, identity: Identity) -> Result<(Proc, Full), Failed> {
    let step = |name: &str| {
        let name = name.to_owned();
        move |error: io::Error| (name, error)
    };
    umask(Mode::from_raw_mode(0o022));
    let proc = Proc::open().map_err(step("/proc"))?;
    let process =
        pidfd_open(getpid(), PidfdFlags::empty()).map_err(|no| step("pidfd_open")(no.into()))?;
    if !ablation::off("uts namespace") {
        sethostname(HOSTNAME).map_err(|no| step("sethostname")(no.into()))?;
    }
    let pieces = root::gather(plan, inside)?;
    root::change(&plan.scratch, identity.id)?;
    identity.assume().map_err(step("changing the user"))?;
    // Not before: a change of user clears it.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|no| step("prctl")(no.into()))?;
    let staged = pieces.assemble()?;
    let counts_threads = can_count_apart().map_err(step("a helper process"))?;
    let full = Full {
        process,
        staged,
        counts_threads,
        rules: None,
    };
    Ok((proc, full))
}

impl Jail {
    pub(crate) fn inside(&self) -> &Inside {
        &self.inside
    }

    /// Whether a child can have no more threads than it may.
    pub(crate) fn limits_threads(&self) -> bool {
        self.full.as_ref().is_some_and(|full| full.counts_threads)
    }

    /// Where a file of the host's tools directory is for those inside.
    pub(crate) fn tool_file(&self, host: &Path) -> PathBuf {
        match host.strip_prefix(&self.plan.tools) {
            Ok(name) => self.inside.tools.join(name),
            Err(_) => host.to_owned(),
        }
    }

    /// How many threads the calling process has; only until the jail is closed.
    pub(crate) fn threads(&self) -> io::Result<usize> {
        let proc = self
            .proc
            .as_ref()
            .ok_or_else(|| io::Error::other("the jail is closed"))?;
        let entries = rustix::fs::Dir::read_from(&proc.tasks)?;
        let named = entries.filter_map(Result::ok);
        Ok(named
            .filter(|entry| !entry.file_name().to_bytes().starts_with(b"."))
            .count())
    }

    /// Before the first child, with Python up and all preloads done.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        let mut proc = self.proc.take().ok_or("the jail is closed already")?;
        self.address_space = address_space(&mut proc.statm).map_err(|no| format!("statm: {no}"))?;
        if let Some(full) = &mut self.full {
            let readable = Self::readable_inside(&self.plan, &self.inside);
            let rules = rules::rules(&readable, &[Path::new(BOX), NULL.as_ref()]);
            full.rules = Some(rules.map_err(|error| format!("Landlock: {error}"))?);
        }
        if self.limits_threads() {
            limits::reserve_little();
        }
        if self.plan.level != Level::None {
            privileges::keep_for_forking(self.full.is_some())
                .map_err(|error| format!("privileges: {error}"))?;
            let filtered = self.filters.apply_to_zygote();
            filtered.map_err(|error| format!("seccomp: {error}"))?;
        }
        Ok(())
    }

    /// Before each fork: the child is the first process of a process namespace of its own.
    pub(crate) fn before_fork(&self) -> io::Result<()> {
        let Some(full) = &self.full else {
            return Ok(());
        };
        if ablation::off("pid namespace") {
            return Ok(());
        }
        // The kernel makes one below the own only.
        move_into_thread_name_spaces(full.process.as_fd(), ThreadNameSpaceType::PROCESS_ID)?;
        // SAFETY: no descriptor table is unshared.
        Ok(unsafe { unshare_unsafe(UnshareFlags::NEWPID) }?)
    }

    /// Confines the calling process, a child, for good; its working directory is then its scratch directory.
    pub(crate) fn confine(&self, confinement: &Confinement) -> Result<(), String> {
        let scratch = match &self.full {
            Some(full) => {
                self.furnish(full, confinement)
                    .map_err(|error| format!("mounts: {error}"))?;
                &self.inside.scratch
            }
            None => &confinement.scratch,
        };
        std::env::set_current_dir(scratch)
            .map_err(|error| format!("scratch directory: {error}"))?;
        if self.limits_threads() {
            count_apart().map_err(|error| format!("user namespace: {error}"))?;
        }
        confinement
            .limits
            .apply(self.address_space, self.limits_threads())
            .map_err(|error| format!("resource limits: {error}"))?;
        if self.plan.level == Level::None {
            return Ok(());
        }
        privileges::drop_all(self.limits_threads())
            .map_err(|error| format!("privileges: {error}"))?;
        self.landlock(confinement)
            .map_err(|error| format!("Landlock: {error}"))?;
        self.filters
            .apply_to_child()
            .map_err(|error| format!("seccomp: {error}"))
    }

    fn furnish(&self, full: &Full, confinement: &Confinement) -> io::Result<()> {
        if !ablation::off("mount namespace") {
            // SAFETY: no descriptor table is unshared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        }
        room::scratch(&self.inside.scratch, confinement.limits.scratch)?;
        room::grants(&confinement.grants, &full.staged)
    }

    fn landlock(&self, confinement: &Confinement) -> Result<(), Box<dyn std::error::Error>> {
        let grants = &confinement.grants;
        let prepared = match &self.full {
            Some(full) if grants.is_empty() => full.rules.as_ref(),
            _ => None,
        };
        let rules = match (prepared, &self.full) {
            (Some(rules), _) => rules.try_clone()?,
            (None, Some(_)) => {
                let readable = Self::readable_inside(&self.plan, &self.inside);
                rules::grant(
                    rules::rules(&readable, &[Path::new(BOX), NULL.as_ref()])?,
                    grants,
                )?
            }
            (None, None) => {
                let readable = Self::readable_inside(&self.plan, &self.inside);
                rules::grant(
                    rules::rules(&readable, &[&confinement.scratch, NULL.as_ref()])?,
                    grants,
                )?
            }
        };
        rules::restrict(rules)
    }

    /// What every child may read: the system's libraries, the interpreter, our package and the tools.
    fn readable_inside(plan: &Plan, inside: &Inside) -> Vec<PathBuf> {
        let system = ["/usr", "/lib", "/lib64", "/nix/store"].iter();
        let paths = system
            .chain(&root::SETTINGS)
            .chain(&DEVICES)
            .map(PathBuf::from);
        let own = [&inside.venv, &inside.package, &inside.tools].into_iter();
        paths.chain(own.chain(&plan.readable).cloned()).collect()
    }
}

/// Bytes of address space that the process has.
fn address_space(statm: &mut fs::File) -> io::Result<u64> {
    let mut text = String::new();
    statm.rewind()?;
    statm.read_to_string(&mut text)?;
    let pages: Option<u64> = text.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("it is not readable"))?;
    Ok(pages * rustix::param::page_size() as u64)
}
