//! A jail's names for things: what was granted is opened by the host's, what children live with has names of its own.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::plan::{Grant, Level, Plan};

impl Grant {
    /// By name, through no symbolic link.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let links = ResolveFlags::NO_SYMLINKS;
        Ok(openat2(CWD, &self.path, flags, Mode::empty(), links)?)
    }
}

/// Where things are for those who live in the jail.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) venv: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) tools: PathBuf,
    /// Full: the one directory that can be written. Reduced: its parent.
    pub(crate) scratch: PathBuf,
}

/// Holds the scratch directory. The rule that allows writing is on it, for one on the mount point itself is not seen.
pub(super) const BOX: &str = "/box";

impl Inside {
    pub(super) fn of(plan: &Plan) -> Self {
        if plan.level == Level::Full {
            return Self {
                venv: "/venv".into(),
                package: "/callspan".into(),
                tools: "/tools".into(),
                scratch: Path::new(BOX).join("scratch"),
            };
        }
        Self {
            venv: plan.venv.clone(),
            package: plan.package.clone(),
            tools: plan.tools.clone(),
            scratch: plan.scratch.clone(),
        }
    }
}
