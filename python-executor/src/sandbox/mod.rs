//! What confines tool code. Every part fails closed: a child that cannot have it does not run the tool.

mod landlock;
mod limits;
mod privileges;
mod seccomp;

use std::path::PathBuf;

pub(crate) use limits::Limits;
pub(crate) use seccomp::Filters;

/// How a child confines itself.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// The best that there is, never less than reduced.
    Auto,
    /// Limits only: for those who trust every tool and ask for it by name.
    None,
}

/// What a child may see and use.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Confinement {
    pub(crate) isolation: Isolation,
    pub(crate) readable: Vec<PathBuf>,
    /// The only place that can be written, and the working directory.
    pub(crate) scratch: PathBuf,
    pub(crate) limits: Limits,
}

impl Confinement {
    /// Confines the calling process, for good. `filters` were compiled before, because this runs in a fresh child.
    pub(crate) fn apply(&self, filters: &Filters) -> Result<(), String> {
        std::env::set_current_dir(&self.scratch)
            .map_err(|error| format!("scratch directory: {error}"))?;
        self.limits
            .apply()
            .map_err(|error| format!("resource limits: {error}"))?;
        if self.isolation == Isolation::None {
            return Ok(());
        }
        privileges::drop_all().map_err(|error| format!("privileges: {error}"))?;
        landlock::apply(&self.readable, &self.scratch)
            .map_err(|error| format!("Landlock: {error}"))?;
        filters.apply().map_err(|error| format!("seccomp: {error}"))
    }
}

/// What is in force, and what is not to be had here: for `health` and every result.
pub(crate) fn report(isolation: Isolation) -> ipc::proto::Isolation {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let later = ["namespaces", "private root", "cgroup limits"];
    match isolation {
        Isolation::Auto => ipc::proto::Isolation {
            level: "reduced".to_owned(),
            active: words(&[
                "landlock",
                "seccomp",
                "no_new_privs",
                "no capabilities",
                "rlimits",
                "wall clock",
            ]),
            missing: words(&later),
            ..Default::default()
        },
        Isolation::None => ipc::proto::Isolation {
            level: "none".to_owned(),
            active: words(&["rlimits", "wall clock"]),
            missing: words(&["landlock", "seccomp", "no_new_privs", "no capabilities"])
                .into_iter()
                .chain(words(&later))
                .collect(),
            ..Default::default()
        },
    }
}

/// What this machine lacks for `reduced`.
pub(crate) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if landlock::version() < 1 {
        missing.push(
            "Landlock (a kernel of 5.13 or newer, with landlock among its security modules)"
                .to_owned(),
        );
    }
    if !seccomp::available() {
        missing.push("seccomp (a kernel with CONFIG_SECCOMP_FILTER)".to_owned());
    }
    missing
}
