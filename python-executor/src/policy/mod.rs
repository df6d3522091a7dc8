//! What one call may use and reach. A tool says in its decorator what it needs, the deployment in a file and by flags
//! what it allows; the effective policy is the stricter of both, and is what the sandbox enforces. There is one
//! vocabulary for all of them: the keys of [`Policy`].

mod deployment;
mod effective;
mod endpoint;
mod paths;
mod section;
mod server;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use deployment::Deployment;
pub(crate) use effective::{Shortfall, effective, lines_for};
pub(crate) use endpoint::{Endpoint, Host};
pub(crate) use section::Declared;
pub(crate) use server::ServerPolicy;

/// Whether a person is asked before a call of a tool runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Approval {
    Auto,
    /// What holds if nobody says anything.
    #[default]
    Ask,
}

/// What a call runs under. Lists are sorted and without repetition, so that equal policies are equal values: a child
/// that was made ahead serves any call of its policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) wall_ms: u64,
    pub(crate) cpu_s: u64,
    /// Beyond what the interpreter has when the child begins.
    pub(crate) memory_mib: u64,
    pub(crate) scratch_mib: u64,
    /// Of each output stream.
    pub(crate) output_kib: u64,
    /// Files, or directories with all that is in them: absolute, and never through a symbolic link.
    pub(crate) read: Vec<PathBuf>,
    /// The same, to be read and written.
    pub(crate) write: Vec<PathBuf>,
    pub(crate) network: Vec<Endpoint>,
    /// Names of the variables that the tool sees.
    pub(crate) environment: Vec<String>,
    pub(crate) approval: Approval,
}

impl Policy {
    /// Bytes of each output stream that are taken.
    pub(crate) fn output(&self) -> usize {
        usize::try_from(self.output_kib << 10).unwrap_or(usize::MAX)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            wall_ms: 5_000,
            cpu_s: 10,
            memory_mib: 512,
            scratch_mib: 64,
            output_kib: 1024,
            read: Vec::new(),
            write: Vec::new(),
            network: Vec::new(),
            environment: Vec::new(),
            approval: Approval::Ask,
        }
    }
}
