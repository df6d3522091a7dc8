//! A child's process, as the kernel tells of it: whether it lives, what it uses, how it ended. A handle of the process is
//! what kills it, so that no zygote is needed for that and no other process can be hit.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt as _,
    },
    time::Duration,
};

use rustix::process::{Signal, pidfd_send_signal};
use tokio::{sync::oneshot, time};

use crate::protocol::control::Ended;

/// How long a killed child may take to be gone before its zygote is held to be stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How nice a process is that gives way: it gets a tenth of what another gets.
const CALM: i32 = 10;

/// One process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    handle: OwnedFd,
    /// Its number, and the file with what the kernel tells of it; not to be had where processes are hidden.
    numbers: Option<(i32, File)>,
    ended: oneshot::Receiver<Ended>,
    end: Option<Ended>,
    over: bool,
}

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_us: u64,
    pub(crate) max_rss_kib: u64,
}

impl Process {
    pub(super) fn new(handle: OwnedFd, ended: oneshot::Receiver<Ended>) -> Self {
        Self {
            numbers: numbers(&handle),
            handle,
            ended,
            end: None,
            over: false,
        }
    }

    /// Waits until it is gone. Tells how it ended; nothing if its zygote was lost with it.
    pub(crate) async fn over(&mut self) -> Option<Ended> {
        if !self.over {
            self.end = (&mut self.ended).await.ok();
            self.over = true;
        }
        self.end
    }

    /// It is gone, as far as was heard.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// How it ended, if it is gone and that is known.
    pub(crate) fn end(&self) -> Option<Ended> {
        self.end
    }

    /// Whether it is gone, asked anew.
    pub(crate) fn look(&mut self) -> bool {
        match self.ended.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => {}
            end if !self.over => {
                self.end = end.ok();
                self.over = true;
            }
            _ => {}
        }
        self.over
    }

    /// Its number, as this process sees it.
    pub(super) fn pid(&self) -> Option<i32> {
        self.numbers.as_ref().map(|(pid, _)| *pid)
    }

    /// Threads that it has; nothing where that cannot be read.
    pub(crate) fn threads(&self) -> Option<u64> {
        self.number("Threads:")
    }

    /// What it used: by the kernel's last word if it is gone, else so far.
    pub(crate) fn used(&self) -> Option<Usage> {
        if let Some(end) = self.end {
            return Some(Usage {
                cpu_us: end.cpu_us,
                max_rss_kib: end.max_rss_kib,
            });
        }
        let (pid, _) = self.numbers.as_ref()?;
        Some(Usage {
            max_rss_kib: self.number("VmHWM:")?,
            cpu_us: cpu_us(*pid)?,
        })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.told(name)?.parse().ok()
    }

    /// The first word that the kernel tells of it behind a name, such as `Threads:`.
    pub(crate) fn told(&self, name: &str) -> Option<String> {
        let (_, file) = self.numbers.as_ref()?;
        let mut bytes = [0; 4096];
        let n = file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..n)?).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.to_owned())
    }

    /// Has it give way to processes that are not calmed, where they want the same processor; on an idle machine it is as
    /// fast as before. For good: only root may take that back.
    pub(crate) fn calm(&self) {
        let Some((pid, _)) = self.numbers.as_ref().filter(|_| !self.over) else {
            return;
        };
        // Without it the call still runs, and its time is bounded: errors do not matter.
        // SAFETY: takes numbers only. It is not waited for, so that the number is still its own; its group is its session.
        unsafe { libc::setpriority(libc::PRIO_PGRP, *pid as libc::id_t, CALM) };
        // Where the kernel groups processes by session, niceness counts within one only, and this between them.
        let _ = std::fs::write(format!("/proc/{pid}/autogroup"), CALM.to_string());
    }

    /// Kills it with all its threads, and all that lives in its namespace with it.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Keeps it from running until it is told to go on. It can be killed all the same.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // An error: it is gone already.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits until it is gone, and kills it if it does not go by itself. False: it is not known to be gone, because its
    /// zygote does not tell.
    pub(crate) async fn finish(&mut self, patience: Duration) -> bool {
        if time::timeout(patience, self.over()).await.is_ok() {
            return true;
        }
        self.kill();
        time::timeout(PATIENCE, self.over()).await.is_ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
        }
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
