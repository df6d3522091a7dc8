//! What a jail is made of: told by the supervisor to each zygote as it starts it.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use serde::{Deserialize, Serialize};

/// How far tools are kept apart from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Limits only.
    None,
    /// Landlock, seccomp and limits.
    Reduced,
    /// Those, in namespaces and a root directory of its own.
    Full,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reduced => "reduced",
            Self::Full => "full",
        }
    }
}

/// A file or directory of the host that calls may use under its own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) path: PathBuf,
    pub(crate) writable: bool,
}

impl Grant {
    /// By name, through no symbolic link.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let links = ResolveFlags::NO_SYMLINKS;
        Ok(openat2(CWD, &self.path, flags, Mode::empty(), links)?)
    }
}

/// All paths are the host's, absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) level: Level,
    pub(crate) venv: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) tools: PathBuf,
    /// Modules that are imported once, for all calls.
    pub(crate) preload: Vec<String>,
    /// What else every call may read, under its own name: a Python that lives outside of /usr.
    pub(crate) readable: Vec<PathBuf>,
    /// Everything that some policy grants. A call gets its own part of it.
    pub(crate) granted: Vec<Grant>,
    /// Full: an empty directory, which the new root is mounted on for a moment; it is removed. Reduced: where each call
    /// has its directory.
    pub(crate) scratch: PathBuf,
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
