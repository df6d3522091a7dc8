//! A process by its number, which is its own until it is waited for; a thread of ours does that, and takes care that
//! nobody signals it later.

use std::{
    io,
    os::fd::OwnedFd,
    process::Child,
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::sync::oneshot;

use crate::{
    protocol::Ended,
    supervisor::{CALM, Usage, locked},
};

/// What a thread takes that waits.
const STACK: usize = 128 << 10;

#[derive(Debug)]
pub(crate) struct Handle {
    pid: Pid,
    waited: Arc<Mutex<bool>>,
    /// The worker ends itself when nobody has this any more.
    _lifeline: OwnedFd,
}

impl Handle {
    /// Takes over a process that was just started, and makes a group of its own.
    pub(super) fn new(
        mut child: Child,
        lifeline: OwnedFd,
    ) -> io::Result<(Self, oneshot::Receiver<Ended>)> {
        let pid = Pid::from_child(&child);
        let waited = Arc::new(Mutex::new(false));
        let (sender, ended) = oneshot::channel();
        let theirs = waited.clone();
        let waits = thread::Builder::new()
            .name("worker-end".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                if let Some(ended) = wait(pid, &theirs) {
                    let _ = sender.send(ended);
                }
            });
        if let Err(error) = waits {
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
        let handle = Self {
            pid,
            waited,
            _lifeline: lifeline,
        };
        Ok((handle, ended))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "another system's handle may not know it"
    )]
    pub(crate) fn pid(&self) -> Option<i32> {
        Some(self.pid.as_raw_nonzero().get())
    }

    /// Stops it: a thread that an import began would go on at the machine's cost, with nobody's call to end it.
    pub(crate) fn rest(&self) -> bool {
        self.signal(Signal::STOP);
        true
    }

    pub(crate) fn rouse(&self) {
        self.signal(Signal::CONT);
    }

    /// The kernel tells it at the end.
    #[expect(
        clippy::unused_self,
        reason = "another system's handle can be asked before"
    )]
    pub(crate) fn used(&self) -> Option<Usage> {
        None
    }

    pub(crate) fn calm(&self) {
        let waited = locked(&self.waited);
        if !*waited {
            // Without it the call still runs, and its time is bounded: errors do not matter.
            // SAFETY: takes numbers only, of a group that only this process and what it started can be in.
            unsafe {
                libc::setpriority(
                    libc::PRIO_PGRP,
                    self.pid.as_raw_nonzero().get() as libc::id_t,
                    CALM,
                )
            };
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let waited = locked(&self.waited);
        if !*waited {
            // An error: it has ended.
            let _ = kill_process(self.pid, signal);
        }
    }
}

/// Waits until it has ended, kills what it has left behind in its group, and tells what it used.
fn wait(pid: Pid, waited: &Mutex<bool>) -> Option<Ended> {
    let only_look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), only_look) {}
    let mut waited = locked(waited);
    // Until it is waited for nobody else can have its number. With isolation none it can have started others.
    let _ = kill_process_group(pid, Signal::KILL);
    let mut status = 0;
    // SAFETY: both pointers are to locals; a zeroed rusage is a valid one.
    let (done, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let pid = pid.as_raw_nonzero().get();
        (libc::wait4(pid, &raw mut status, 0, &raw mut usage), usage)
    };
    *waited = true;
    (done > 0).then(|| Ended::of(status, &usage))
}
