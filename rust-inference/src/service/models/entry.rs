//! One model that may be asked for: where it comes from, whether it is loaded, and who uses it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipc::{program::Failure, proto::ModelInfo};

use crate::backend::{Backend, Guarantee};

/// What makes a backend of what it was told at the start: it reads files, so it may take long.
pub(super) type Open = Box<dyn Fn() -> Result<Arc<dyn Backend>, Failure> + Send + Sync>;

/// A model that a server offers.
pub struct Offer {
    /// What requests call it.
    pub name: String,
    /// Who computes: native, openai or mistralrs.
    pub backend: &'static str,
    /// Where it comes from, as the server was told.
    pub source: String,
    /// Another server's: it takes no memory here, and `NAME/MODEL` is a model of that server.
    pub remote: bool,
    /// The best that is possible.
    pub guarantee: Guarantee,
    /// Bytes that its weights take at most.
    pub memory_bytes: usize,
    pub open: Open,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// An offer, and what became of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) offer: Offer,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) backend: Option<Arc<dyn Backend>>,
    pub(super) loading: bool,
    /// Requests under way, those of weights that were replaced included.
    pub(super) leases: usize,
    /// When it was last used or loaded.
    pub(super) last: Instant,
    /// Why it could not be loaded when that was last tried.
    pub(super) problem: String,
}

impl Entry {
    pub(super) fn new(offer: Offer) -> Self {
        Self {
            offer,
            slot: Mutex::new(Slot {
                backend: None,
                loading: false,
                leases: 0,
                last: Instant::now(),
                problem: String::new(),
            }),
        }
    }

    pub(super) fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model, if it is loaded.
    pub(super) fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut slot = self.slot();
        let backend = slot.backend.clone()?;
        slot.leases += 1;
        Some(Lease {
            entry: self.clone(),
            backend,
        })
    }

    /// Whether it is there.
    pub(super) fn state(&self) -> &'static str {
        let slot = self.slot();
        match slot.backend {
            _ if self.offer.remote => "remote",
            Some(_) => "loaded",
            None if slot.loading => "loading",
            None => "unloaded",
        }
    }

    /// What a client is told of it.
    pub(super) fn info(&self, default: bool) -> ModelInfo {
        let state = self.state().to_owned();
        let (backend, leases, last, problem) = {
            let slot = self.slot();
            (
                slot.backend.clone(),
                slot.leases,
                slot.last,
                slot.problem.clone(),
            )
        };
        let about = backend.map(|backend| backend.about());
        ModelInfo {
            name: self.offer.name.clone(),
            backend: self.offer.backend.to_owned(),
            source: self.offer.source.clone(),
            state,
            default,
            guarantee: self.offer.guarantee.word().to_owned(),
            memory_bytes: about.as_ref().map_or(0, |about| about.memory_bytes as u64),
            requests: leases as u32,
            idle_ms: u32::try_from(last.elapsed().as_millis()).unwrap_or(u32::MAX),
            context: about.as_ref().map_or(0, |about| about.context as u32),
            adapters: about.map(|about| about.adapters).unwrap_or_default(),
            problem,
        }
    }

    /// Takes the model away, if nobody has used it for so long.
    pub(super) fn unload_if_idle(&self, for_at_least: Duration) -> bool {
        let mut slot = self.slot();
        let idle = slot.leases == 0 && slot.last.elapsed() >= for_at_least;
        idle && slot.backend.take().is_some()
    }
}

/// The use of a loaded model, for one request.
#[derive(Debug)]
pub struct Lease {
    entry: Arc<Entry>,
    pub backend: Arc<dyn Backend>,
}

impl Lease {
    /// What the server calls the model.
    pub fn name(&self) -> &str {
        &self.entry.offer.name
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slot = self.entry.slot();
        slot.leases -= 1;
        slot.last = Instant::now();
    }
}
