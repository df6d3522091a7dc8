//! Some keys of a policy, as a tool's decorator or a part of the policy file has them: every key may be missing, and a
//! key or value that cannot be is an error.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Approval, Endpoint, paths};

/// The vocabulary.
pub(super) const KEYS: [&str; 10] = [
    "wall_ms",
    "cpu_s",
    "memory_mib",
    "scratch_mib",
    "output_kib",
    "read",
    "write",
    "network",
    "environment",
    "approval",
];

const DAY_S: u64 = 86_400;
/// One TiB.
const MAX_MIB: u64 = 1 << 20;
const MAX_OUTPUT_KIB: u64 = 1 << 20;
/// A list longer than this is a mistake, or meant to take the supervisor's memory.
const MAX_LIST: usize = 1000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) wall_ms: Option<u64>,
    pub(super) cpu_s: Option<u64>,
    pub(super) memory_mib: Option<u64>,
    pub(super) scratch_mib: Option<u64>,
    pub(super) output_kib: Option<u64>,
    pub(super) read: Option<Vec<PathBuf>>,
    pub(super) write: Option<Vec<PathBuf>>,
    pub(super) network: Option<Vec<Endpoint>>,
    pub(super) environment: Option<Vec<String>>,
    pub(super) approval: Option<Approval>,
}

/// A section as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    wall_ms: Option<u64>,
    cpu_s: Option<u64>,
    memory_mib: Option<u64>,
    scratch_mib: Option<u64>,
    output_kib: Option<u64>,
    read: Option<Vec<String>>,
    write: Option<Vec<String>>,
    network: Option<Vec<String>>,
    environment: Option<Vec<String>>,
    approval: Option<Approval>,
}

/// The key whose value cannot be, and why.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) key: &'static str,
    pub(super) why: String,
}

impl Written {
    /// Checks the values; relative paths begin at `base`, if there is one.
    pub(super) fn settle(self, base: Option<&Path>) -> Result<Section, Wrong> {
        let path = |text: String| paths::grantable(&text, base);
        let endpoint = |text: String| match text.strip_prefix("unix:") {
            Some(path) => paths::absolute(path, base)
                .map(Endpoint::Unix)
                .map_err(|why| format!("{text:?}: {why}")),
            None => text.parse(),
        };
        Ok(Section {
            wall_ms: number("wall_ms", self.wall_ms, DAY_S * 1000)?,
            cpu_s: number("cpu_s", self.cpu_s, DAY_S)?,
            memory_mib: number("memory_mib", self.memory_mib, MAX_MIB)?,
            scratch_mib: number("scratch_mib", self.scratch_mib, MAX_MIB)?,
            output_kib: number("output_kib", self.output_kib, MAX_OUTPUT_KIB)?,
            read: list("read", self.read, path)?.map(paths::fewest),
            write: list("write", self.write, path)?.map(paths::fewest),
            network: list("network", self.network, endpoint)?,
            environment: list("environment", self.environment, variable)?,
            approval: self.approval,
        })
    }
}

fn number(key: &'static str, value: Option<u64>, most: u64) -> Result<Option<u64>, Wrong> {
    match value {
        Some(value) if value < 1 || value > most => Err(Wrong {
            key,
            why: format!("it is {value}, and can be from 1 to {most}"),
        }),
        value => Ok(value),
    }
}

fn list<T: Ord>(
    key: &'static str,
    texts: Option<Vec<String>>,
    read: impl Fn(String) -> Result<T, String>,
) -> Result<Option<Vec<T>>, Wrong> {
    let Some(texts) = texts else { return Ok(None) };
    let wrong = |why| Wrong { key, why };
    if texts.len() > MAX_LIST {
        return Err(wrong(format!("it has more than {MAX_LIST} entries")));
    }
    let read: Result<Vec<T>, String> = texts.into_iter().map(read).collect();
    let mut list = read.map_err(wrong)?;
    list.sort();
    list.dedup();
    Ok(Some(list))
}

fn variable(name: String) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(letters)
    {
        return Err(format!(
            "{name:?} is no variable's name: letters, digits and _, and no digit first"
        ));
    }
    Ok(name)
}

/// What a tool says of itself, in its decorator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared(pub(super) Section);

impl Declared {
    /// Reads the JSON object that describes a tool's own policy. It comes from tool code.
    pub(crate) fn from_json(value: &serde_json::Value) -> Result<Self, String> {
        let keys = value.as_object().ok_or("a policy is an object")?.keys();
        if let Some(unknown) = keys.into_iter().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key(unknown, &KEYS));
        }
        let written = Written::deserialize(value).map_err(|error| error.to_string())?;
        written
            .settle(None)
            .map(Self)
            .map_err(|wrong| format!("{}: {}", wrong.key, wrong.why))
    }
}

/// Says that there is no such key, and which was probably meant.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, key), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    let shown: String = key.chars().take(64).collect();
    match near {
        Some((_, near)) => format!("there is no key {shown:?}; did you mean {near}?"),
        None => format!("there is no key {shown:?}; there are: {}", known.join(", ")),
    }
}
