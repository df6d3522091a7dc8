//! The attack suite: every attack of `attacks/` against the running program, as the table tells.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod arena;
mod common;

use std::{os::unix::process::CommandExt as _, process::Command};

use arena::{
    Arena, NOBODY, is_root,
    table::{Attack, table},
};

/// All attacks that a level is to stop; then nothing may have been touched.
async fn hold(level: &str) {
    let mut arena = Arena::open(level, |_| ()).await;
    let all = table();
    let listed = arena.executor.list().await;
    assert!(listed.problems.is_empty(), "{:?}", listed.problems);
    for tool in listed.tools {
        let known = all.iter().any(|attack| attack.name == tool.name);
        assert!(
            known || tool.name == "canary_of_a_tool",
            "{} is not in the table",
            tool.name
        );
    }
    let attacks: Vec<Attack> = all
        .into_iter()
        .filter(|attack| !attack.stopped_by(level).is_empty())
        .collect();
    let mut wrong = Vec::new();
    for (attack, seen) in arena.fight(&attacks).await {
        if !attack.is_as_told(level, &seen) {
            wrong.push(format!("{}/{}: {seen}", attack.room, attack.name));
        }
    }
    wrong.extend(arena.planted.touched());
    let neighbour = arena.executor.call("canary_of_a_tool", "{}").await;
    assert_eq!(neighbour.result, r#""all is well, 4""#, "{neighbour:?}");
    assert_eq!(neighbour.isolation.unwrap().level, level);
    assert!(wrong.is_empty(), "{level}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_fails_against_the_full_sandbox() {
    hold("full").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_fails_against_the_reduced_sandbox() {
    hold("reduced").await;
}

/// The two above once more, as a user that owns nothing; whoever is no root has run them so already.
#[test]
fn every_attack_fails_against_an_ordinary_users_sandbox() {
    if !is_root() {
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_attack_fails_against_the_full_sandbox"])
        .arg("every_attack_fails_against_the_reduced_sandbox")
        .uid(NOBODY)
        .gid(NOBODY)
        .status()
        .unwrap_or_else(|no| {
            panic!("{no}; fix: have the checkout where other users can enter, not below /root")
        });
    assert!(status.success(), "see above");
}
