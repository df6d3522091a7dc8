//! The table of a worker. What its Seatbelt profile is to do is tried, and that it shows here is not proof enough: nobody
//! has attacked it, so that the best that is said of it is `unverified`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Row;
use crate::{
    sandbox::{Level, Protection},
    supervisor::Process,
};

/// What the child found: each attempt with its error's number, 0 if it was done.
#[derive(Debug, Deserialize)]
pub(super) struct Evidence {
    read: i32,
    fork: i32,
    connect: i32,
    limits: BTreeMap<String, Option<u64>>,
}

impl Evidence {
    /// This kernel tells nothing more of a process.
    pub(super) fn of(json: &str, _process: &Process) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

pub(super) fn rows(protection: &Protection, evidence: &Evidence) -> Vec<Row> {
    let confined = protection.level == Level::SeatbeltUnverified;
    let profile = |mechanism, number: i32, stops| {
        let refused = [libc::EPERM, libc::EACCES].contains(&number);
        Row {
            mechanism,
            state: match (confined, refused) {
                (true, true) => "unverified",
                (true, false) => "broken",
                (false, _) => "missing",
            },
            stops,
            seen: match number {
                0 => "done".to_owned(),
                number => std::io::Error::from_raw_os_error(number).to_string(),
            },
            cure: (!confined).then(|| "do not say --isolation none".to_owned()),
        }
    };
    // Which no kernel but Linux's keeps.
    let space = "AS";
    let none: Vec<&str> = evidence
        .limits
        .iter()
        .filter(|(name, most)| *name != space && most.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let limited = none.is_empty() && !evidence.limits.is_empty();
    let row = |mechanism, state, stops, seen: &str, cure: Option<&str>| Row {
        mechanism,
        state,
        stops,
        seen: seen.to_owned(),
        cure: cure.map(str::to_owned),
    };
    vec![
        profile(
            "Seatbelt: files",
            evidence.read,
            "reading and writing files that are not granted",
        ),
        profile(
            "Seatbelt: processes",
            evidence.fork,
            "starting other programs",
        ),
        profile("Seatbelt: network", evidence.connect, "the network"),
        row(
            "resource limits",
            if limited { "active" } else { "broken" },
            "taking the processor, files and descriptors",
            &format!("not limited: {}", none.join(", ")),
            None,
        ),
        row(
            "memory limit",
            "missing",
            "taking the memory",
            "not limited",
            Some("run python-executor on Linux, a virtual machine will do"),
        ),
        row(
            "wall clock",
            "active",
            "calls that never end",
            "kept by the supervisor",
            None,
        ),
    ]
}
