//! Children that were made ahead and wait for a call. Each is used once. They are bounded, each profile's and all
//! together; those of the profile that was not used for longest make room.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    executor::Executor,
    profile::Profile,
    supervisor::{Child, locked},
};

/// How long a child may take to get warm.
pub(crate) const WARMING: Duration = Duration::from_secs(20);
/// A profile whose spares so often, one after the other, did not last gets no more of them.
const MOST_FAILURES: u32 = 3;

#[derive(Debug)]
pub(crate) struct Spares {
    /// For each profile.
    each: usize,
    /// For all of them together.
    most: usize,
    /// By the profile's number.
    shelves: Mutex<HashMap<u64, Shelf>>,
    clock: AtomicU64,
}

#[derive(Debug, Default)]
struct Shelf {
    waiting: Vec<Child>,
    /// Children on their way here.
    making: usize,
    /// When it was last asked for one.
    used: u64,
    failures: u32,
}

impl Spares {
    pub(crate) fn new(each: usize, most: usize) -> Self {
        Self {
            each,
            most,
            shelves: Mutex::default(),
            clock: AtomicU64::new(1),
        }
    }

    /// Children that wait.
    pub(crate) fn waiting(&self) -> usize {
        locked(&self.shelves)
            .values()
            .map(|shelf| shelf.waiting.len())
            .sum()
    }

    /// One of this profile, if one waits.
    pub(crate) fn take(&self, profile: &Profile) -> Option<Child> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut shelves = locked(&self.shelves);
        let shelf = shelves.get_mut(&profile.id)?;
        shelf.used = now;
        while let Some(mut child) = shelf.waiting.pop() {
            if child.is_waiting() {
                shelf.failures = 0;
                child.process.rouse();
                return Some(child);
            }
            // With its zygote each would have gone.
            shelf.failures += u32::from(!child.zygote.is_lost());
        }
        None
    }

    /// Drops those whose profile is not wanted any more, such as a file's that has changed. From now on there are those
    /// of the wanted profiles only.
    pub(crate) fn keep(&self, wanted: &HashSet<u64>) {
        let mut shelves = locked(&self.shelves);
        shelves.retain(|profile, _| wanted.contains(profile));
        for profile in wanted {
            shelves.entry(*profile).or_default();
        }
    }

    /// Makes what this profile lacks, in the background.
    pub(crate) fn refill(&self, executor: &Arc<Executor>, profile: &Arc<Profile>) {
        while let Some(old) = self.place(profile) {
            drop(old);
            let (executor, profile) = (executor.clone(), profile.clone());
            tokio::spawn(async move {
                let made = make(&executor, &profile).await;
                executor.spares.put(&profile, made);
            });
        }
    }

    /// Claims a place for one more, and gives those that have to go for it; nothing if there is no place.
    fn place(&self, profile: &Profile) -> Option<Vec<Child>> {
        let mut shelves = locked(&self.shelves);
        let shelf = shelves.get_mut(&profile.id)?;
        if shelf.failures >= MOST_FAILURES || shelf.waiting.len() + shelf.making >= self.each {
            return None;
        }
        let used = shelf.used;
        let total: usize = shelves
            .values()
            .map(|shelf| shelf.waiting.len() + shelf.making)
            .sum();
        let mut old = Vec::new();
        if total >= self.most {
            let oldest = shelves
                .values_mut()
                .filter(|shelf| !shelf.waiting.is_empty() && shelf.used < used)
                .min_by_key(|shelf| shelf.used)?;
            old.extend(oldest.waiting.pop());
        }
        shelves.get_mut(&profile.id)?.making += 1;
        Some(old)
    }

    fn put(&self, profile: &Profile, made: io::Result<Option<Child>>) {
        // A shelf that is gone is not wanted any more.
        if let Some(shelf) = locked(&self.shelves).get_mut(&profile.id) {
            shelf.making = shelf.making.saturating_sub(1);
            match made {
                Ok(Some(child)) => shelf.waiting.push(child),
                Ok(None) => shelf.failures += 1,
                // Not the profile's doing. Whoever calls next has it tried again.
                Err(_) => {}
            }
        }
    }
}

/// A warm child that does nothing until it is asked to; nothing, if those of this profile do not get or stay so.
async fn make(executor: &Arc<Executor>, profile: &Profile) -> io::Result<Option<Child>> {
    let mut child = executor.child(profile, false).await?;
    let warmed = child.warmed(WARMING, profile.policy.output()).await;
    let rests = warmed.is_ok() && child.process.rest();
    Ok(rests.then_some(child))
}
