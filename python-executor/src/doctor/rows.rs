//! The table of a jail: namespaces, Landlock and seccomp, as far as its level has them.

use super::Row;
pub(super) use super::evidence::Evidence;
use crate::sandbox::{Level, Protection};

/// Each mechanism, with whether it is in force and shows.
pub(super) fn rows(protection: &Protection, evidence: &Evidence) -> Vec<Row> {
    let level = protection.level;
    let cure = || match (level, protection.lacks.first()) {
        (_, Some(lack)) => lack.cure.clone(),
        (Level::None, _) => "do not say --isolation none".to_owned(),
        _ => "do not say --isolation reduced".to_owned(),
    };
    let row = |mechanism, needs: Level, (shows, seen): (bool, String), stops| {
        let in_force = level >= needs;
        Row {
            mechanism,
            state: state(in_force, shows),
            stops,
            seen,
            cure: (!in_force).then(cure),
        }
    };
    let mut rows = vec![
        row(
            "namespaces",
            Level::Full,
            evidence.namespaces(),
            "seeing or stopping other processes; the network; the machine's name",
        ),
        row(
            "private root",
            Level::Full,
            evidence.root(),
            "finding files of the machine, /proc and /sys, even by name",
        ),
        row(
            "private scratch",
            Level::Full,
            evidence.scratch(),
            "filling the disk; leaving files behind",
        ),
        row(
            "Landlock",
            Level::Reduced,
            evidence.landlock(),
            "reading and writing files that are not granted",
        ),
        row(
            "seccomp",
            Level::Reduced,
            evidence.seccomp(),
            "sockets, processes, and most ways into the kernel",
        ),
        row(
            "no new privileges",
            Level::Reduced,
            evidence.privileges(),
            "becoming another user by a set-user-id program",
        ),
        row(
            "no capabilities",
            Level::Reduced,
            evidence.capabilities(level == Level::Full),
            "all that only root may do",
        ),
        row(
            "resource limits",
            Level::None,
            evidence.limits(),
            "taking the memory and the processor",
        ),
        row(
            "wall clock",
            Level::None,
            (true, "kept by the supervisor".to_owned()),
            "calls that never end",
        ),
    ];
    let (shows, seen) = evidence.threads();
    let counted = protection.limits_threads;
    rows.push(Row {
        mechanism: "thread limit",
        state: state(counted, shows),
        stops: "taking all the threads that there can be",
        seen,
        cure: (!counted).then(|| match level {
            Level::Full => {
                "allow a user namespace in another (sysctl user.max_user_namespaces)".to_owned()
            }
            _ => cure(),
        }),
    });
    let groups = protection.no_groups.as_ref();
    rows.push(Row {
        mechanism: "cgroup limits",
        state: state(groups.is_none(), true),
        stops: "memory that no address space shows, and its swap",
        seen: groups.map_or_else(String::new, |lack| lack.why.clone()),
        cure: groups.map(|lack| lack.cure.clone()),
    });
    rows
}

fn state(in_force: bool, shows: bool) -> &'static str {
    match (in_force, shows) {
        (true, true) => "active",
        (true, false) => "broken",
        (false, _) => "missing",
    }
}
