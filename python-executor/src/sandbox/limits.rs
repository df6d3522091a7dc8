//! Resource limits of a child (setrlimit).

use std::{io, time::Duration};

use crate::policy::Policy;

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) struct Limits {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Bytes of address space beyond what the interpreter has when the child begins.
    pub(crate) memory: u64,
    /// Bytes of the largest file that can be written.
    pub(crate) file: u64,
    pub(crate) open_files: u64,
}

impl Limits {
    pub(crate) fn of(policy: &Policy) -> Self {
        Self {
            wall: Duration::from_millis(policy.wall_ms),
            cpu: Duration::from_secs(policy.cpu_s),
            memory: policy.memory_mib << 20,
            file: policy.scratch_mib << 20,
            open_files: 64,
        }
    }

    pub(super) fn apply(&self) -> io::Result<()> {
        let cpu = self.cpu.as_secs().max(1);
        set(libc::RLIMIT_CORE, 0, 0)?;
        set(libc::RLIMIT_MEMLOCK, 0, 0)?;
        set(libc::RLIMIT_FSIZE, self.file, self.file)?;
        set(libc::RLIMIT_NOFILE, self.open_files, self.open_files)?;
        // At the soft limit SIGXCPU says why; at the hard one the kernel kills.
        set(libc::RLIMIT_CPU, cpu, cpu + 1)?;
        let space = address_space()? + self.memory;
        set(libc::RLIMIT_AS, space, space)
    }
}

/// Bytes of address space that this process has.
fn address_space() -> io::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = statm.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| io::Error::other("/proc/self/statm is not readable"))?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the pointer is to a local that lives through the call.
    if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
