//! What tools are confined to: told by the supervisor to whoever makes children for it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far tools are kept apart from the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Limits only.
    None,
    /// Limits, and a Seatbelt profile that has never been run.
    SeatbeltUnverified,
    /// Landlock, seccomp and limits.
    Reduced,
    /// Those, in namespaces and a root directory of its own.
    Full,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SeatbeltUnverified => "seatbelt-unverified",
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
