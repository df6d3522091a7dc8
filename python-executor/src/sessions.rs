//! Children that keep the state of a snippet for the next one. They are bounded in number, and one that nobody uses is
//! ended after a while.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use ipc::Status;

use crate::supervisor::{Child, locked};

/// What begins a session.
pub(crate) const NEW: &str = "new";

#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    idle: Duration,
    held: Mutex<HashMap<String, Held>>,
}

#[derive(Debug)]
enum Held {
    /// A snippet of it is at work.
    Busy,
    Waiting {
        child: Box<Child>,
        since: Instant,
    },
}

/// A session for one snippet. Dropped, it is ended, unless its child was put back.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    sessions: &'a Sessions,
    pub(crate) id: String,
    put_back: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.put_back {
            locked(&self.sessions.held).remove(&self.id);
        }
    }
}

impl Claim<'_> {
    /// Keeps the child for the next snippet.
    pub(crate) fn put_back(mut self, child: Child) {
        // What its snippets began, such as a thread, is nobody's work now.
        child.process.pause();
        let held = Held::Waiting {
            child: Box::new(child),
            since: Instant::now(),
        };
        locked(&self.sessions.held).insert(self.id.clone(), held);
        self.put_back = true;
    }
}

impl Sessions {
    pub(crate) fn new(most: usize, idle: Duration) -> Self {
        Self {
            most,
            idle,
            held: Mutex::default(),
        }
    }

    pub(crate) fn open(&self) -> usize {
        locked(&self.held).len()
    }

    /// A new session, whose child is to be made.
    pub(crate) fn begin(&self) -> Result<Claim<'_>, Status> {
        self.end_idle();
        let mut held = locked(&self.held);
        if held.len() >= self.most {
            return Err(Status::resource_exhausted(format!(
                "{} sessions are open already",
                held.len()
            ))
            .with_hint("end one with end_session, or start the server with a larger --sessions"));
        }
        let id = random_id().map_err(|error| Status::internal(error.to_string()))?;
        held.insert(id.clone(), Held::Busy);
        Ok(self.claim(id))
    }

    /// A session that there is, and its child.
    pub(crate) fn go_on(&self, id: &str) -> Result<(Claim<'_>, Child), Status> {
        self.end_idle();
        let mut held = locked(&self.held);
        let unknown = || {
            Status::not_found(format!("there is no session {id:?}")).with_hint(
                "begin one with \"session\":\"new\"; one that is not used ends after a while",
            )
        };
        match held.insert(id.to_owned(), Held::Busy) {
            Some(Held::Waiting { mut child, .. }) => {
                if child.is_waiting() {
                    child.process.go_on();
                    return Ok((self.claim(id.to_owned()), *child));
                }
                // Its process is gone.
                held.remove(id);
                Err(unknown())
            }
            Some(Held::Busy) => Err(Status::failed_precondition(format!(
                "a snippet of the session {id:?} is at work"
            ))
            .with_hint("wait for its result")),
            None => {
                held.remove(id);
                Err(unknown())
            }
        }
    }

    /// Ends those that were not used for long.
    pub(crate) fn end_idle(&self) {
        let is_idle = |held: &Held| match held {
            Held::Busy => false,
            Held::Waiting { since, .. } => since.elapsed() >= self.idle,
        };
        let ended: Vec<_> = locked(&self.held)
            .extract_if(|_, held| is_idle(held))
            .collect();
        // Killed when nobody waits for the lock.
        drop(ended);
    }

    fn claim(&self, id: String) -> Claim<'_> {
        Claim {
            sessions: self,
            id,
            put_back: false,
        }
    }
}

fn random_id() -> std::io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
