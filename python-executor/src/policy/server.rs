//! What a mounted MCP server may use and reach: a part of the policy file for each, by its name. Other than a tool it
//! serves many calls, so that its limits are of its own, and nothing that holds for all tools is given to it.

use std::path::Path;

use toml::{Spanned, de::DeValue};

use super::{
    Deployment, Policy,
    deployment::{Fault, section, table},
    section::{KEYS, Section, unknown_key},
};

/// How many processes a server may have, threads included.
const PROCESSES: u64 = 64;
const MOST: i64 = 4096;
/// A server may look things up, and has to start an interpreter.
const WALL_MS: u64 = 30_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerPolicy {
    pub(crate) policy: Policy,
    pub(crate) processes: u64,
}

/// A section of the policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Server {
    section: Section,
    processes: Option<u64>,
}

pub(super) fn server(value: &Spanned<DeValue<'_>>, base: Option<&Path>) -> Result<Server, Fault> {
    let mut rest = table(value)?.clone();
    let mut processes = None;
    let known: Vec<&str> = KEYS
        .into_iter()
        .filter(|key| !["network", "output_kib"].contains(key))
        .chain(["processes"])
        .collect();
    for (key, value) in table(value)? {
        match key.get_ref().as_ref() {
            "processes" => {
                let number = value.get_ref().as_integer();
                let number = number.and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
                let number = number.filter(|n| (1..=MOST).contains(n));
                let number = number.ok_or_else(|| {
                    let why = format!("processes: it is a number from 1 to {MOST}");
                    (value.span(), why)
                })?;
                processes = Some(number.unsigned_abs());
                rest.remove("processes");
            }
            "network" => {
                let why = "an MCP server has no network: what it would reach cannot be bounded by address".to_owned();
                return Err((key.span(), why));
            }
            key_name if !known.contains(&key_name) => {
                return Err((key.span(), unknown_key(key_name, &known)));
            }
            _ => {}
        }
    }
    let rest = Spanned::new(value.span(), DeValue::Table(rest));
    Ok(Server {
        section: section(&rest, base)?,
        processes,
    })
}

impl Deployment {
    /// What holds for a server. Nothing said: the defaults, and no grants.
    pub(crate) fn of_server(&self, name: &str) -> ServerPolicy {
        let nothing = Server::default();
        let said = self.servers.get(name).unwrap_or(&nothing);
        let Section {
            wall_ms,
            cpu_s,
            memory_mib,
            scratch_mib,
            output_kib: _,
            read,
            write,
            network: _,
            environment,
            approval,
        } = said.section.clone();
        let base = Policy::default();
        let at_most = |said: u64, flag: Option<u64>| flag.map_or(said, |flag| said.min(flag));
        ServerPolicy {
            policy: Policy {
                wall_ms: at_most(wall_ms.unwrap_or(WALL_MS), self.wall_ms),
                cpu_s: at_most(cpu_s.unwrap_or(base.cpu_s), self.cpu_s),
                memory_mib: memory_mib.unwrap_or(base.memory_mib),
                scratch_mib: scratch_mib.unwrap_or(base.scratch_mib),
                output_kib: base.output_kib,
                read: read.unwrap_or_default(),
                write: write.unwrap_or_default(),
                network: Vec::new(),
                environment: environment.unwrap_or_default(),
                approval: approval.unwrap_or_default(),
            },
            processes: said.processes.unwrap_or(PROCESSES),
        }
    }

    /// Servers that the file speaks of.
    pub(crate) fn named_servers(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str)
    }
}
