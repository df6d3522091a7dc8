//! Limits of the kernel's control groups (version 2), where a part of their hierarchy was delegated to us: they bound
//! what no resource limit of a process does, such as the memory of pipes and sockets and the number of processes of one
//! call, and they kill all of it at once.
//!
//! The supervisor moves into a leaf of its own, because a group with processes cannot hand its controllers on; each call
//! gets a group beside it.

#[cfg(test)]
mod tests;

use std::{
    fmt::Display,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use super::{Lack, Limits};

/// Without these a group limits nothing that matters here.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// Threads of a call; the interpreter's own included.
const MAX_PIDS: u64 = 32;
/// How often, and how far apart, the removal of a group is tried: killed processes leave it a moment later.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

const DELEGATE: &str = "start it by: systemd-run --user --scope -p Delegate=yes python-executor …, or give --cgroup DIR";

fn why(what: impl Display) -> Lack {
    Lack::new("cgroup limits", what, DELEGATE)
}

/// How directories of the hierarchy come and go: the kernel fills and empties them itself.
#[derive(Clone, Copy, Debug)]
struct Kernel {
    make: fn(&Path) -> io::Result<()>,
    remove: fn(&Path) -> io::Result<()>,
}

const KERNEL: Kernel = Kernel {
    make: |path| fs::create_dir(path),
    remove: |path| fs::remove_dir(path),
};

/// The delegated part of the hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroups {
    delegated: PathBuf,
    /// Where the supervisor is, and the zygotes that it starts from now on.
    leaf: PathBuf,
    /// Begins the names of our groups: several executors may share the delegated part.
    prefix: String,
    kernel: Kernel,
}

/// The group of one call. Dropped: all that is in it is killed, and it is removed as soon as that is gone.
#[derive(Debug)]
pub(crate) struct Call {
    dir: PathBuf,
    kernel: Kernel,
}

/// What the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes at the highest; older kernels do not tell.
    pub(crate) peak_memory: Option<u64>,
    /// The limit of memory was what ended it.
    pub(crate) out_of_memory: bool,
}

impl Cgroups {
    /// Finds the delegated part (`given`, or the group that this process is in) and moves this process into its leaf.
    /// To be called before any zygote is started.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, Lack> {
        if !cfg!(target_os = "linux") {
            let cure = "run python-executor on Linux, a virtual machine will do";
            return Err(Lack::new("cgroup limits", "only Linux has them", cure));
        }
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|error| why(format!("{path} cannot be read: {error}")))
        };
        let delegated = match given {
            Some(dir) => dir.to_owned(),
            None => own_group(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)?,
        };
        Self::take(&delegated, std::process::id(), KERNEL)
    }

    fn take(delegated: &Path, pid: u32, kernel: Kernel) -> Result<Self, Lack> {
        let shown = delegated.display();
        let controllers = fs::read_to_string(delegated.join("cgroup.controllers"))
            .map_err(|error| why(format!("{shown} is no group of cgroup v2: {error}")))?;
        let missing = CONTROLLERS
            .iter()
            .find(|name| !controllers.split_whitespace().any(|has| has == **name));
        if let Some(missing) = missing {
            return Err(why(format!(
                "the {missing} controller is not delegated to {shown}"
            )));
        }
        let prefix = format!("callspan-{pid}-");
        sweep(delegated, kernel);
        let leaf = delegated.join(format!("{prefix}supervisor"));
        (kernel.make)(&leaf)
            .map_err(|error| why(format!("no group can be made in {shown}: {error}")))?;
        let cgroups = Self {
            delegated: delegated.to_owned(),
            leaf,
            prefix,
            kernel,
        };
        // From here on, dropping it goes back to where it began.
        write(&cgroups.leaf, "cgroup.procs", &pid).map_err(|error| {
            why(format!(
                "this process cannot move into a group of {shown}: {error}"
            ))
        })?;
        write(delegated, "cgroup.subtree_control", &"+memory +pids").map_err(|error| {
            // The kernel's way to say that it is not a leaf.
            why(if error.raw_os_error() == Some(libc::EBUSY) {
                format!("other processes are in the group {shown} as well")
            } else {
                format!("{shown} hands no controllers on: {error}")
            })
        })?;
        Ok(cgroups)
    }

    /// A group with these limits. `id` is any number that is not in use.
    pub(crate) fn create(&self, id: u64, limits: &Limits) -> io::Result<Call> {
        let dir = self.delegated.join(format!("{}{id}", self.prefix));
        (self.kernel.make)(&dir)?;
        let call = Call {
            dir,
            kernel: self.kernel,
        };
        // The scratch directory is memory as well, and counted here.
        let memory = limits.memory.saturating_add(limits.scratch);
        call.write("memory.max", memory)?;
        match call.write("memory.swap.max", 0) {
            // A kernel that does not count swap.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
        call.write("memory.oom.group", 1)?;
        call.write("pids.max", MAX_PIDS)?;
        Ok(call)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Best effort: whoever delegated the group cleans up behind us as well.
        let _ = write(&self.delegated, "cgroup.subtree_control", &"-memory -pids");
        let _ = write(&self.delegated, "cgroup.procs", &0);
        let _ = (self.kernel.remove)(&self.leaf);
    }
}

impl Call {
    /// Moves a process, and what it will fork, under the limits.
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        self.write("cgroup.procs", pid)
    }

    /// What was counted so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            peak_memory: self
                .read("memory.peak")
                .and_then(|text| text.trim().parse().ok()),
            out_of_memory: self
                .read("memory.events")
                .is_some_and(|events| counted(&events, "oom_kill") > 0),
        }
    }

    fn kill(&self) {
        // Before Linux 5.14 there is no such file; the children's own ends do it then.
        let _ = self.write("cgroup.kill", 1);
    }

    fn write(&self, file: &str, value: impl Display) -> io::Result<()> {
        write(&self.dir, file, &value)
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(file)).ok()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.kill();
        let (dir, kernel) = (std::mem::take(&mut self.dir), self.kernel);
        let is_busy = move || {
            let removed = (kernel.remove)(&dir);
            removed.is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY))
        };
        if !is_busy() {
            return;
        }
        // As this program ends there is no runtime: then the next one sweeps it away.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                for _ in 0..TRIES {
                    sleep(PAUSE).await;
                    if !is_busy() {
                        break;
                    }
                }
            });
        }
    }
}

/// The directory of this process's group, from the kernel's two tables.
fn own_group(cgroup: &str, mounts: &str) -> Result<PathBuf, Lack> {
    let own = cgroup
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or_else(|| why("there is no cgroup v2 here"))?;
    // id parent device root mountpoint options [fields] - type source options
    let mounted = mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut fields = front.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        back.starts_with("cgroup2 ").then_some((root, at))
    });
    let (root, at) = mounted.ok_or_else(|| why("cgroup v2 is not mounted"))?;
    let below = Path::new(own)
        .strip_prefix(root)
        .map_err(|_| why(format!("the group {own} is not in what is mounted at {at}")))?;
    Ok(Path::new(at).join(below))
}

/// Writes one value to a file that the kernel made.
fn write(dir: &Path, file: &str, value: &impl Display) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(dir.join(file))?;
    // In one piece: each write is a command.
    file.write_all(value.to_string().as_bytes())
}

/// The value of a key in a file of `key value` lines.
fn counted(text: &str, key: &str) -> u64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Removes what executors that were killed left behind: their groups are empty, or cannot be removed.
fn sweep(delegated: &Path, kernel: Kernel) {
    for entry in fs::read_dir(delegated).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name
            .to_str()
            .and_then(|name| name.strip_prefix("callspan-")?.split_once('-'));
        if let Some((pid, _)) = of
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = (kernel.remove)(&entry.path());
        }
    }
}
