//! What confines tool code. Every part fails closed: a child that cannot have it does not run the tool.

pub(crate) mod ablation;
mod cgroup;
#[cfg(zygotes)]
mod forbidden;
#[cfg(zygotes)]
mod inside;
#[cfg(zygotes)]
mod jail;
#[cfg(zygotes)]
mod landlock;
mod limits;
#[cfg(zygotes)]
mod mounts;
#[cfg(zygotes)]
mod namespaces;
#[cfg(zygotes)]
mod nanny;
mod plan;
#[cfg(zygotes)]
mod privileges;
mod program;
#[cfg(zygotes)]
mod readable;
#[cfg(zygotes)]
mod refusal;
#[cfg(zygotes)]
mod room;
#[cfg(zygotes)]
mod root;
#[cfg(not(zygotes))]
pub(crate) mod seatbelt;
#[cfg(zygotes)]
mod seccomp;
mod unavailable;

use std::path::PathBuf;

pub(crate) use cgroup::{Call as Group, Cgroups};
#[cfg(zygotes)]
pub(crate) use jail::{Jail, NoJail, enter};
pub(crate) use limits::Limits;
#[cfg(zygotes)]
pub(crate) use limits::THREADS;
pub(crate) use plan::{Grant, Level, Plan};
pub(crate) use program::Program;
#[cfg(zygotes)]
pub(crate) use refusal::refusal;
#[cfg(not(zygotes))]
pub(crate) use seatbelt::refusal;
#[cfg(zygotes)]
use seccomp::Filters;
pub(crate) use unavailable::{Lack, Unavailable};

use crate::policy::Policy;

/// How tools are to be confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Isolation {
    /// The best that there is, never less than reduced.
    Auto,
    /// Namespaces and a private root, with all that reduced has; or nothing runs.
    Full,
    /// Landlock, seccomp and limits.
    Reduced,
    /// macOS: a Seatbelt profile that has never been run, and limits.
    SeatbeltUnverified,
    /// Limits only: for those who trust every tool and ask for it by name.
    None,
}

/// What one child may use, beyond what all may.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Confinement {
    /// The only place that can be written, and the working directory; a full jail has a place of its own for it.
    pub(crate) scratch: PathBuf,
    pub(crate) grants: Vec<Grant>,
    pub(crate) limits: Limits,
}

/// The files and directories that a policy grants.
pub(crate) fn grants(policy: &Policy) -> Vec<Grant> {
    let grant = |writable| {
        move |path: &PathBuf| Grant {
            path: path.clone(),
            writable,
        }
    };
    let read = policy.read.iter().map(grant(false));
    read.chain(policy.write.iter().map(grant(true))).collect()
}

/// What is in force, and what a better level lacks here.
#[derive(Clone, Debug)]
pub(crate) struct Protection {
    pub(crate) level: Level,
    pub(crate) limits_threads: bool,
    pub(crate) lacks: Vec<Lack>,
    /// Why calls have no control groups, if they have none.
    pub(crate) no_groups: Option<Lack>,
}

const GROUPS: &str = "cgroup limits";
const THREAD_LIMIT: &str = "thread limit";
const REDUCED: [&str; 4] = ["landlock", "seccomp", "no_new_privs", "no capabilities"];
const FULL: [&str; 2] = ["namespaces", "private root"];
const SEATBELT: [&str; 1] = ["seatbelt profile, never verified"];
const ALWAYS: [&str; 2] = ["rlimits", "wall clock"];
/// What only children of zygotes have.
const MEMORY: &str = "address space limit";

impl Protection {
    /// Why it is less than full, for the line that is printed at the start.
    pub(crate) fn told(&self) -> String {
        if self.level == Level::SeatbeltUnverified {
            return " (nobody has verified it: neither the profile nor what is around it was ever run on macOS)"
                .to_owned();
        }
        if self.lacks.is_empty() {
            return String::new();
        }
        let lacks = Unavailable(self.lacks.clone());
        format!(
            " (full cannot be had: {}; fix: {})",
            lacks.why(),
            lacks.cure()
        )
    }

    /// For `health` and every result.
    pub(crate) fn report(&self) -> ipc::proto::Isolation {
        let words =
            |list: &[&str]| -> Vec<String> { list.iter().map(|word| (*word).to_owned()).collect() };
        let level = if ablation::any() {
            Level::None
        } else {
            self.level
        };
        let (active, missing): ([&[&str]; 2], [&[&str]; 2]) = match level {
            Level::Full => ([&FULL, &REDUCED], [&[], &[]]),
            Level::Reduced => ([&REDUCED, &[]], [&FULL, &[]]),
            Level::SeatbeltUnverified => ([&SEATBELT, &[]], [&REDUCED, &FULL]),
            Level::None => ([&[], &[]], [&REDUCED, &FULL]),
        };
        let (mut active, mut missing) = (active.concat(), missing.concat());
        if cfg!(not(zygotes)) {
            missing.push(MEMORY);
        }
        active.extend(ALWAYS);
        for (there, name) in [
            (self.limits_threads, THREAD_LIMIT),
            (self.no_groups.is_none(), GROUPS),
        ] {
            if there { &mut active } else { &mut missing }.push(name);
        }
        let lacks = self.lacks.iter().chain(&self.no_groups);
        ipc::proto::Isolation {
            level: level.name().to_owned(),
            active: words(&active),
            missing: words(&missing),
            cures: lacks.map(|lack| lack.cure.clone()).collect(),
        }
    }
}
