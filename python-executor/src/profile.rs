//! What a child is made for: a version of a tool file, or snippets, under one policy. Children of one profile are alike,
//! so one that was made ahead can serve any call of it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::policy::Policy;

#[derive(Debug)]
pub(crate) struct Profile {
    /// Tells it from all others.
    pub(crate) id: u64,
    /// Nothing: snippets.
    pub(crate) file: Option<ToolFile>,
    pub(crate) policy: Policy,
}

/// One version of a file of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolFile {
    pub(crate) path: PathBuf,
    /// Its text, so that a version outlives a change of the file.
    pub(crate) source: Arc<str>,
    /// Its text compiled, in hexadecimal. It comes from a child that ran the file, so only children that run the same
    /// file are given it. Empty: not compiled yet.
    pub(crate) code: Arc<str>,
}

impl Profile {
    pub(crate) fn new(file: Option<ToolFile>, policy: Policy) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            file,
            policy,
        })
    }
}
