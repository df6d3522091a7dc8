//! Resource limits of a child (setrlimit).

use std::{io, time::Duration};

use super::ablation;
use crate::policy::Policy;

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) struct Limits {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Bytes of address space beyond what the interpreter has when the child begins.
    pub(crate) memory: u64,
    /// Bytes of the scratch directory, and of the largest file that can be written.
    pub(crate) scratch: u64,
    pub(crate) open_files: u64,
}

impl Limits {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            wall: Duration::from_millis(policy.wall_ms),
            cpu: Duration::from_secs(policy.cpu_s),
            memory: policy.memory_mib << 20,
            scratch: policy.scratch_mib << 20,
            open_files: 64,
        }
    }

    /// `space`: bytes of address space that the process has already. `counted`: the kernel counts this process's threads
    /// apart from all others of the same user.
    #[cfg(zygotes)]
    pub(super) fn apply(&self, space: u64, counted: bool) -> io::Result<()> {
        let space = space.saturating_add(self.memory);
        set("message queue limit", libc::RLIMIT_MSGQUEUE, 0)?;
        set("signals limit", libc::RLIMIT_SIGPENDING, MAX_SIGNALS)?;
        set("stack limit", libc::RLIMIT_STACK, STACK)?;
        if counted {
            set("thread limit", libc::RLIMIT_NPROC, THREADS)?;
        }
        self.apply_anywhere(Duration::ZERO)?;
        set("address space limit", libc::RLIMIT_AS, space)
    }

    /// For a program that takes this one's place and serves many calls, each of whose time others bound. `processes`: how
    /// many it may have, threads included, where the kernel counts them apart from all others of the same user.
    #[cfg(zygotes)]
    pub(super) fn apply_to_program(&self, processes: Option<u64>) -> io::Result<()> {
        set("core limit", libc::RLIMIT_CORE, 0)?;
        set("locked memory limit", libc::RLIMIT_MEMLOCK, 0)?;
        set("message queue limit", libc::RLIMIT_MSGQUEUE, 0)?;
        set("signals limit", libc::RLIMIT_SIGPENDING, MAX_SIGNALS)?;
        set("stack limit", libc::RLIMIT_STACK, STACK)?;
        set("file size limit", libc::RLIMIT_FSIZE, self.scratch)?;
        set("open files limit", libc::RLIMIT_NOFILE, self.open_files)?;
        // Not the address space: some interpreters reserve much more of it than they ever use.
        set("memory limit", libc::RLIMIT_DATA, self.memory)?;
        match processes {
            Some(processes) => set("process limit", libc::RLIMIT_NPROC, processes),
            None => Ok(()),
        }
    }

    /// Those that every system has, and keeps: macOS keeps none of the address space. `used`: processor time that the
    /// process has used already.
    pub(crate) fn apply_anywhere(&self, used: Duration) -> io::Result<()> {
        let cpu = (self.cpu + used).as_secs_f64().ceil().max(1.0) as u64;
        set("core limit", libc::RLIMIT_CORE, 0)?;
        set("locked memory limit", libc::RLIMIT_MEMLOCK, 0)?;
        set("file size limit", libc::RLIMIT_FSIZE, self.scratch)?;
        set("open files limit", libc::RLIMIT_NOFILE, self.open_files)?;
        // The first process of a namespace ignores SIGXCPU, so that there is one limit, at which the kernel kills.
        set("processor limit", libc::RLIMIT_CPU, cpu)
    }
}

/// Has threads share what glibc reserves for each of the first: 64 MiB of address space, of which a child could not have
/// the threads that it may have. Where threads are not counted only the address space bounds them, by their stacks, and
/// by these reserves, which stay.
#[cfg(zygotes)]
pub(super) fn reserve_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers, and sets a number of the allocator's.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2)
    };
}

/// Threads of a child, the main one included.
#[cfg(zygotes)]
pub(crate) const THREADS: u64 = 32;
/// Signals that may wait to be taken: kernel memory.
#[cfg(zygotes)]
const MAX_SIGNALS: u64 = 64;
/// Bytes of the main thread's stack, as it is by custom.
#[cfg(zygotes)]
const STACK: u64 = 8 << 20;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

/// Never more than there is.
fn set(name: &str, resource: Resource, most: u64) -> io::Result<()> {
    if ablation::off(name) {
        return Ok(());
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointers are to a local that lives through the calls.
    let done = unsafe {
        let known = libc::getrlimit(resource, &raw mut limit) == 0;
        let most = most.min(limit.rlim_max);
        limit = libc::rlimit {
            rlim_cur: most,
            rlim_max: most,
        };
        known && libc::setrlimit(resource, &raw const limit) == 0
    };
    if done {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
