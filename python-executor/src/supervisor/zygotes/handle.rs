//! A process by its descriptor, which a zygote hands over, and by the kernel's own files of it.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt as _,
    },
};

use rustix::process::{Signal, pidfd_send_signal};

use crate::supervisor::{CALM, Usage};

#[derive(Debug)]
pub(crate) struct Handle {
    process: OwnedFd,
    /// Its number, and the file with what the kernel tells of it; not to be had where processes are hidden.
    numbers: Option<(i32, File)>,
}

impl Handle {
    pub(super) fn new(process: OwnedFd) -> Self {
        Self {
            numbers: numbers(&process),
            process,
        }
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        self.numbers.as_ref().map(|(pid, _)| *pid)
    }

    /// A thread that an import began would go on at the machine's cost, with nobody's call to end it.
    pub(crate) fn rest(&self) -> bool {
        self.number("Threads:") == Some(1)
    }

    /// It has only waited.
    #[expect(
        clippy::unused_self,
        reason = "another system's handle stops what rests"
    )]
    pub(crate) fn rouse(&self) {}

    pub(crate) fn used(&self) -> Option<Usage> {
        let (pid, _) = self.numbers.as_ref()?;
        Some(Usage {
            max_rss_kib: self.number("VmHWM:")?,
            cpu_us: cpu_us(*pid)?,
        })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.told(name)?.parse().ok()
    }

    pub(crate) fn told(&self, name: &str) -> Option<String> {
        let (_, file) = self.numbers.as_ref()?;
        let mut bytes = [0; 4096];
        let n = file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..n)?).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.to_owned())
    }

    /// Not to be called when it was waited for: its number could be another's.
    pub(crate) fn calm(&self) {
        let Some((pid, _)) = &self.numbers else {
            return;
        };
        // Without it the call still runs, and its time is bounded: errors do not matter.
        // SAFETY: takes numbers only. It is not waited for, so that the number is still its own; its group is its session.
        unsafe { libc::setpriority(libc::PRIO_PGRP, *pid as libc::id_t, CALM) };
        // Where the kernel groups processes by session, niceness counts within one only, and this between them.
        let _ = std::fs::write(format!("/proc/{pid}/autogroup"), CALM.to_string());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // An error: it is gone already.
        let _ = pidfd_send_signal(&self.process, signal);
    }
}

/// The process's number as we see it, and the file in which the kernel tells of it.
fn numbers(process: &OwnedFd) -> Option<(i32, File)> {
    let info =
        std::fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).ok()?;
    let pid: i32 = info
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"))?
        .trim()
        .parse()
        .ok()?;
    let file = File::open(format!("/proc/{pid}/status")).ok()?;
    Some((pid, file))
}

/// Processor time of a process, by its own clock.
fn cpu_us(pid: i32) -> Option<u64> {
    // The kernel's number for the clock of all threads of a process: CPUCLOCK_SCHED of it.
    let clock = (!pid << 3) | 2;
    // SAFETY: a zeroed timespec is a valid one, and the pointer is to a local that lives through the call.
    let (done, time) = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        (libc::clock_gettime(clock, &raw mut time), time)
    };
    (done == 0).then(|| time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
}
