//! The models of a server, by name: loaded when they are asked for, kept for a while, given back when nobody asks, and
//! never more of them in memory than there is room for.
//!
//! A request holds a [`Lease`] on what was loaded when it came. Unloading and reloading therefore take nothing from
//! requests under way: the old weights go when the last of these has ended.

mod entry;
mod memory;

use std::{sync::Arc, time::Duration};

use ipc::{
    Status,
    proto::{ModelInfo, ModelList, Models as Asked},
};

pub use self::entry::{Lease, Offer};
use self::{entry::Entry, memory::Memory};
use crate::backend::{About, Backend, Load};

/// How long models stay, and how much memory they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// One that was loaded on demand is unloaded when it was not asked for so long; nothing: it stays.
    pub keep_alive: Option<Duration>,
    /// Bytes of all models' weights; the first model, which is there from the start, counts but is never unloaded for
    /// another.
    pub memory_bytes: usize,
}

/// All models of a server; the first is the default.
#[derive(Debug)]
pub(super) struct Models {
    entries: Vec<Arc<Entry>>,
    keep_alive: Option<Duration>,
    memory: Memory,
    /// One is loaded at a time: each finds out what room there is.
    loading: tokio::sync::Mutex<()>,
}

impl Models {
    /// The first of these is there already.
    pub(super) fn new(
        first: (Offer, Arc<dyn Backend>),
        others: Vec<Offer>,
        keeping: Keeping,
    ) -> Self {
        let (offer, backend) = first;
        let memory = Memory::new(keeping.memory_bytes);
        memory.count(&backend);
        let default = Entry::new(offer);
        default.slot().backend = Some(backend);
        let entries = std::iter::once(default).chain(others.into_iter().map(Entry::new));
        Self {
            entries: entries.map(Arc::new).collect(),
            keep_alive: keeping.keep_alive,
            memory,
            loading: tokio::sync::Mutex::default(),
        }
    }

    /// The model that a request names, loaded by now, and what it calls itself by this name (empty: its own name).
    pub(super) async fn lease(self: &Arc<Self>, asked: &str) -> Result<(Lease, String), Status> {
        let (entry, inner) = self.find(asked)?;
        loop {
            if let Some(lease) = entry.lease() {
                return Ok((lease, inner.to_owned()));
            }
            // Loaded, and perhaps unloaded again before we came to it: then once more.
            self.make(entry, false).await?;
        }
    }

    /// The entry of a name, and the rest of the name that is another server's business.
    fn find<'a>(&self, asked: &'a str) -> Result<(&Arc<Entry>, &'a str), Status> {
        if asked.is_empty() {
            return (self.entries.first().map(|entry| (entry, "")))
                .ok_or_else(|| Status::not_found("no model is served here"));
        }
        if let Some(entry) = self.entries.iter().find(|entry| entry.offer.name == asked) {
            return Ok((entry, ""));
        }
        let behind = self.entries.iter().find_map(|entry| {
            let rest = asked.strip_prefix(&entry.offer.name)?.strip_prefix('/')?;
            (entry.offer.remote && !rest.is_empty()).then_some((entry, rest))
        });
        behind.ok_or_else(|| {
            let names: Vec<_> = self
                .entries
                .iter()
                .map(|entry| format!("{:?}", entry.offer.name))
                .collect();
            Status::not_found(format!("model {asked:?} is not served here")).with_hint(format!(
                "leave `model` out, or ask for {}",
                names.join(", ")
            ))
        })
    }

    /// Loads a model that is not there, or `anew`. Whoever waits may go: it is loaded all the same.
    async fn make(self: &Arc<Self>, entry: &Arc<Entry>, anew: bool) -> Result<(), Status> {
        let (models, entry) = (self.clone(), entry.clone());
        let making = tokio::spawn(async move {
            let _alone = models.loading.lock().await;
            if !anew && entry.slot().backend.is_some() {
                return Ok(());
            }
            models.make_room(&entry)?;
            entry.slot().loading = true;
            let opening = entry.clone();
            let opened = tokio::task::spawn_blocking(move || (opening.offer.open)()).await;
            let opened = match opened {
                Ok(opened) => opened.map_err(|failure| failure.what),
                Err(error) => Err(format!("loading it failed: {error}")),
            };
            let mut slot = entry.slot();
            slot.loading = false;
            match opened {
                Ok(backend) => {
                    models.memory.count(&backend);
                    slot.last = std::time::Instant::now();
                    slot.problem.clear();
                    // The old one goes with the last request that has it.
                    slot.backend = Some(backend);
                    Ok(())
                }
                Err(problem) => {
                    slot.problem.clone_from(&problem);
                    Err(Status::failed_precondition(format!(
                        "model {:?} cannot be loaded from {}: {problem}",
                        entry.offer.name, entry.offer.source
                    ))
                    .with_hint("mend what is there, and ask again"))
                }
            }
        });
        (making.await).map_err(|error| Status::internal(format!("loading failed: {error}")))?
    }

    /// Unloads those that were not used for longest, until there is room.
    fn make_room(&self, entry: &Arc<Entry>) -> Result<(), Status> {
        let needed = entry.offer.memory_bytes;
        let mut others: Vec<_> = (self.entries.iter().skip(1))
            .filter(|other| !Arc::ptr_eq(other, entry))
            .collect();
        others.sort_by_key(|other| other.slot().last);
        for other in others {
            if self.memory.taken() + needed <= self.memory.limit {
                break;
            }
            other.unload_if_idle(Duration::ZERO);
        }
        let taken = self.memory.taken();
        if taken + needed <= self.memory.limit {
            return Ok(());
        }
        let mib = |bytes: usize| bytes.div_ceil(1 << 20);
        let status = Status::resource_exhausted(format!(
            "model {:?} may take {} MiB, and of the {} MiB for models {} are taken",
            entry.offer.name,
            mib(needed),
            mib(self.memory.limit),
            mib(taken)
        ));
        Err(status
            .with_hint("try again when other models' requests have ended, or start the server with a larger --models-mib")
            .with_retry_after_ms(1000))
    }

    /// Does what is asked, and tells what is there then.
    pub(super) async fn answer(self: &Arc<Self>, asked: Asked) -> Result<ModelList, Status> {
        match [&*asked.load, &*asked.unload, &*asked.reload] {
            ["", "", ""] => {}
            [name, "", ""] => drop(self.lease(name).await?),
            ["", name, ""] => drop(self.own(name)?.slot().backend.take()),
            ["", "", name] => self.make(&self.own(name)?.clone(), true).await?,
            _ => {
                return Err(
                    Status::invalid_argument("load, unload and reload exclude each other")
                        .with_hint("ask one after the other"),
                );
            }
        }
        Ok(self.list().await)
    }

    /// An entry whose model is in this process.
    fn own(&self, name: &str) -> Result<&Arc<Entry>, Status> {
        let (entry, _) = self.find(name)?;
        if entry.offer.remote {
            return Err(
                Status::failed_precondition(format!("model {name:?} is another server's"))
                    .with_hint("ask that server"),
            );
        }
        Ok(entry)
    }

    async fn list(self: &Arc<Self>) -> ModelList {
        let mut models = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.offer.remote && entry.slot().backend.is_none() {
                // Nothing is loaded: what comes of it is told below.
                let _ = self.make(entry, false).await;
            }
            let info = entry.info(index == 0);
            let backend = entry.slot().backend.clone();
            match backend {
                Some(backend) if entry.offer.remote => match backend.names().await {
                    // One model, which has this name already.
                    Ok(names) if names.is_empty() => models.push(info),
                    Ok(names) => models.extend(names.into_iter().map(|name| ModelInfo {
                        name: format!("{}/{name}", info.name),
                        ..info.clone()
                    })),
                    Err(status) => models.push(ModelInfo {
                        problem: status.to_string(),
                        ..info
                    }),
                },
                _ => models.push(info),
            }
        }
        ModelList { models }
    }

    /// Name and state of each, for people.
    pub(super) fn states(&self) -> String {
        let states =
            (self.entries.iter()).map(|entry| format!("{} ({})", entry.offer.name, entry.state()));
        states.collect::<Vec<_>>().join(", ")
    }

    /// The default, if it is loaded.
    pub(super) fn default(&self) -> Option<(&Offer, About, Option<Load>)> {
        let entry = self.entries.first()?;
        let backend = entry.slot().backend.clone()?;
        Some((&entry.offer, backend.about(), backend.load()))
    }

    /// Which are there, and how busy each is that tells.
    pub(super) fn loads(&self) -> impl Iterator<Item = (&str, bool, Option<Load>)> {
        self.entries.iter().map(|entry| {
            let backend = entry.slot().backend.clone();
            let there = backend.is_some();
            (
                &*entry.offer.name,
                there,
                backend.and_then(|backend| backend.load()),
            )
        })
    }

    /// Unloads what was not asked for in a while, for as long as it is polled.
    pub(super) async fn tend(&self) {
        let Some(keep_alive) = self.keep_alive else {
            return;
        };
        let pause = (keep_alive / 4).clamp(Duration::from_millis(50), Duration::from_secs(10));
        loop {
            tokio::time::sleep(pause).await;
            for entry in self
                .entries
                .iter()
                .skip(1)
                .filter(|entry| !entry.offer.remote)
            {
                entry.unload_if_idle(keep_alive);
            }
        }
    }
}
