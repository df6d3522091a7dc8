//! What the executor's own processes say to each other. Supervisor and zygote speak over `control`, supervisor and
//! child over `channel`; `work` is what they say there. Of these only the child's words are not trusted.

pub(crate) mod channel;
#[cfg(zygotes)]
pub(crate) mod control;
pub(crate) mod work;

use rustix::net::{RecvFlags, SendFlags};
use serde::{Deserialize, Serialize};

/// That nobody reads any more is an error, not a signal. Apple's kernels know no such flag: a program in Rust ignores
/// that signal from its start.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(crate) const SEND: SendFlags = SendFlags::empty();

/// What is passed stays in this process, where the kernel knows the flag.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
pub(crate) const RECEIVE: RecvFlags = RecvFlags::empty();

/// How a child ended, as the kernel tells it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) cpu_us: u64,
    pub(crate) max_rss_kib: u64,
}

impl Ended {
    /// What a process is told of that was waited for.
    pub(crate) fn of(status: i32, usage: &libc::rusage) -> Self {
        let us = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        // Apple's kernels tell it in bytes.
        let unit = if cfg!(target_vendor = "apple") {
            1024
        } else {
            1
        };
        Self {
            status,
            cpu_us: us(usage.ru_utime) + us(usage.ru_stime),
            max_rss_kib: usage.ru_maxrss as u64 / unit,
        }
    }
}
