//! What was seen of a child, and what that says of each mechanism.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{sandbox::THREADS, supervisor::Process};

/// What the child found.
#[derive(Debug, Deserialize)]
struct Found {
    pid: i64,
    host: String,
    /// Paths of the host that have a name inside.
    names: Vec<String>,
    read: i32,
    list: i32,
    write: i32,
    socket: i32,
    fork: i32,
    limits: BTreeMap<String, Option<u64>>,
    threads: Option<u64>,
    scratch_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Evidence {
    found: Found,
    /// As the kernel tells of it; the bounding set is the last.
    capabilities: [String; 5],
    no_new_privileges: String,
    filters: String,
}

/// Whether a mechanism shows, and what was seen.
type Seen = (bool, String);

/// More than any policy gives a scratch directory, and less than a disk has.
const MAX_SCRATCH: u64 = 1 << 40;

impl Evidence {
    /// What the child tells, and what the kernel tells of it.
    pub(super) fn of(json: &str, process: &Process) -> Result<Self, serde_json::Error> {
        let told = |name| process.told(name).unwrap_or_default();
        Ok(Self {
            found: serde_json::from_str(json)?,
            capabilities: ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:", "CapBnd:"].map(told),
            no_new_privileges: told("NoNewPrivs:"),
            filters: told("Seccomp_filters:"),
        })
    }

    pub(super) fn namespaces(&self) -> Seen {
        let Found { pid, host, .. } = &self.found;
        let seen = format!("process {pid} on {host}");
        (*pid == 1 && host == "callspan", seen)
    }

    pub(super) fn root(&self) -> Seen {
        let names = &self.found.names;
        let seen = if names.is_empty() {
            "none of the names that were tried".to_owned()
        } else {
            names.join(", ")
        };
        (names.is_empty(), seen)
    }

    pub(super) fn scratch(&self) -> Seen {
        let Found {
            scratch_bytes,
            write,
            ..
        } = &self.found;
        let seen = format!("{} MiB, {}", scratch_bytes >> 20, error(*write));
        (*write == 0 && *scratch_bytes < MAX_SCRATCH, seen)
    }

    pub(super) fn landlock(&self) -> Seen {
        let Found { list, read, .. } = &self.found;
        let seen = format!(
            "listing /: {}; reading a file of the host's: {}",
            error(*list),
            error(*read)
        );
        (*list == libc::EACCES && *read != 0, seen)
    }

    pub(super) fn seccomp(&self) -> Seen {
        let Found { socket, fork, .. } = &self.found;
        let seen = format!(
            "{} filters; a socket: {}; a process: {}",
            self.filters,
            error(*socket),
            error(*fork)
        );
        let refused = [socket, fork].iter().all(|error| **error == libc::EPERM);
        (
            refused && self.filters.parse().is_ok_and(|filters: u32| filters > 0),
            seen,
        )
    }

    pub(super) fn privileges(&self) -> Seen {
        let seen = format!("NoNewPrivs is {}", self.no_new_privileges);
        (self.no_new_privileges == "1", seen)
    }

    /// `bounding`: the bounding set counts too. An ordinary user cannot empty it, and with no new privileges it gives
    /// nothing.
    pub(super) fn capabilities(&self, bounding: bool) -> Seen {
        let [rest @ .., bounds] = &self.capabilities;
        let counted: Vec<&String> = rest.iter().chain(bounding.then_some(bounds)).collect();
        let held = counted
            .iter()
            .filter(|set| !set.trim_matches('0').is_empty());
        let (held, known) = (held.count(), counted.iter().all(|set| !set.is_empty()));
        (
            known && held == 0,
            format!("{held} of {} sets hold some", counted.len()),
        )
    }

    pub(super) fn threads(&self) -> Seen {
        match self.found.threads {
            Some(most) => (most <= THREADS, format!("{most} for each call")),
            None => (false, "not limited".to_owned()),
        }
    }

    pub(super) fn limits(&self) -> Seen {
        let limits = &self.found.limits;
        let none: Vec<&str> = limits
            .iter()
            .filter(|(_, most)| most.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        let seen = if none.is_empty() {
            "memory, processor, files and descriptors".to_owned()
        } else {
            format!("not limited: {}", none.join(", "))
        };
        (none.is_empty() && !limits.is_empty(), seen)
    }
}

fn error(number: i32) -> String {
    match number {
        0 => "done".to_owned(),
        number => std::io::Error::from_raw_os_error(number).to_string(),
    }
}
