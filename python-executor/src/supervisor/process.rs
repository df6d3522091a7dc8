//! A child's process, as the kernel tells of it: whether it lives, what it uses, how it ended. A handle of the process is
//! what kills it, so that who made it is not needed for that and no other process can be hit.

use std::time::Duration;

use rustix::process::Signal;
use tokio::{sync::oneshot, time};

use super::Handle;
use crate::protocol::Ended;

/// How long a killed child may take to be gone before who made it is held to be stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// One process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    handle: Handle,
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
    pub(super) fn new(handle: Handle, ended: oneshot::Receiver<Ended>) -> Self {
        Self {
            handle,
            ended,
            end: None,
            over: false,
        }
    }

    /// Waits until it is gone. Tells how it ended; nothing if who made it was lost with it.
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
        self.handle.pid()
    }

    /// Has a waiting child use no processor. False: it may go on to do so.
    pub(crate) fn rest(&self) -> bool {
        self.handle.rest()
    }

    /// Ends its rest.
    pub(crate) fn rouse(&self) {
        self.handle.rouse();
    }

    /// What it used: by the kernel's last word if it is gone, else so far.
    pub(crate) fn used(&self) -> Option<Usage> {
        match self.end {
            Some(end) => Some(Usage {
                cpu_us: end.cpu_us,
                max_rss_kib: end.max_rss_kib,
            }),
            None => self.handle.used(),
        }
    }

    /// The first word that the kernel tells of it behind a name, such as `Threads:`.
    #[cfg(zygotes)]
    pub(crate) fn told(&self, name: &str) -> Option<String> {
        self.handle.told(name)
    }

    /// Has it give way to processes that are not calmed, where they want the same processor; on an idle machine it is as
    /// fast as before. For good: only root may take that back.
    pub(crate) fn calm(&self) {
        if !self.over {
            self.handle.calm();
        }
    }

    /// Kills it with all its threads, and all that lives in its namespace with it.
    pub(crate) fn kill(&self) {
        self.handle.signal(Signal::KILL);
    }

    /// Keeps it from running until it is told to go on. It can be killed all the same.
    pub(crate) fn pause(&self) {
        self.handle.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.handle.signal(Signal::CONT);
    }

    /// Waits until it is gone, and kills it if it does not go by itself. False: it is not known to be gone, because who
    /// made it does not tell.
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
