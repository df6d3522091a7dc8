//! How much memory the weights take that are there, those included that only requests under way still hold.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::backend::Backend;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) limit: usize,
    held: Mutex<Vec<(Weak<dyn Backend>, usize)>>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Mutex::default(),
        }
    }

    /// From now on it counts, until nobody has it.
    pub(super) fn count(&self, backend: &Arc<dyn Backend>) {
        let bytes = backend.about().memory_bytes;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.push((Arc::downgrade(backend), bytes));
    }

    /// Bytes that are taken.
    pub(super) fn taken(&self) -> usize {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(backend, _)| backend.strong_count() > 0);
        held.iter().map(|(_, bytes)| bytes).sum()
    }
}
