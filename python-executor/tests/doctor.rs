//! `doctor`: what protects a machine, as a tool finds it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Output},
};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

fn doctor(arguments: &[&str], more: impl FnOnce(&mut Command)) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_python-executor"));
    command.arg("doctor").args(arguments);
    command.arg("--venv").arg(root.join(".venv"));
    command
        .arg("--tools")
        .arg(root.join("python-executor/tools"));
    command.env("CALLSPAN_PYTHONPATH", root.join("python-executor/python"));
    more(&mut command);
    command.output().unwrap()
}

/// The state of each mechanism, and all of it.
fn states(output: &Output) -> (BTreeMap<String, String>, serde_json::Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let table: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let rows = table["mechanisms"].as_array().unwrap().iter();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let states = rows.map(|row| (word(&row["mechanism"]), word(&row["state"])));
    (states.collect(), table)
}

const REDUCED: [&str; 4] = [
    "Landlock",
    "seccomp",
    "no new privileges",
    "no capabilities",
];
const FULL: [&str; 4] = [
    "namespaces",
    "private root",
    "private scratch",
    "thread limit",
];

#[test]
fn a_full_jail_is_healthy_and_every_mechanism_shows() {
    let output = doctor(&["--json"], |_| ());
    let (states, table) = states(&output);
    assert!(output.status.success(), "{table}");
    assert_eq!(table["level"], "full");
    for mechanism in FULL
        .iter()
        .chain(&REDUCED)
        .chain(&["resource limits", "wall clock"])
    {
        assert_eq!(states[*mechanism], "active", "{table}");
    }
}

#[test]
fn less_than_full_fails_and_says_what_is_missing_and_what_to_do() {
    for (level, missing) in [
        ("reduced", &FULL[..]),
        ("none", &[FULL.as_slice(), &REDUCED].concat()),
    ] {
        let output = doctor(&["--json", "--isolation", level], |_| ());
        assert_eq!(output.status.code(), Some(1));
        let (states, table) = states(&output);
        for (mechanism, state) in states {
            let expected = if missing.contains(&mechanism.as_str()) {
                "missing"
            } else {
                "active"
            };
            assert!(
                state == expected || mechanism == "cgroup limits",
                "{level} {mechanism}: {table}"
            );
        }
        assert_eq!(
            table["mechanisms"][0]["cure"],
            format!("do not say --isolation {level}")
        );
    }
    let text = String::from_utf8(doctor(&["--isolation", "reduced"], |_| ()).stdout).unwrap();
    assert!(
        text.contains("namespaces         missing  seeing or stopping"),
        "{text}"
    );
    assert!(
        text.contains("fix: do not say --isolation reduced"),
        "{text}"
    );
}

/// A kernel that says yes and does nothing.
#[test]
fn a_mechanism_that_is_in_force_and_does_not_hold_is_found() {
    let rules = BTreeMap::from([(libc::SYS_landlock_restrict_self, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let lie = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), arch);
    let lie: BpfProgram = lie.unwrap().try_into().unwrap();
    let output = doctor(&["--json"], |command| {
        // SAFETY: between fork and exec only system calls are made, on memory that was made before.
        unsafe {
            command
                .pre_exec(move || seccompiler::apply_filter(&lie).map_err(std::io::Error::other));
        }
    });
    assert_eq!(output.status.code(), Some(1));
    let (states, table) = states(&output);
    assert_eq!(states["Landlock"], "broken", "{table}");
    assert_eq!(states["seccomp"], "active", "{table}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("Landlock is in force but does not hold"),
        "{told}"
    );
}
