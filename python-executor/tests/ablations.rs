//! Ablations: one mechanism is left out, and what only that stops gets through; so the attacks are real, and each
//! mechanism is needed. All of it happens in process, mount, network, IPC and UTS namespaces that are thrown away, with a
//! /tmp of their own, to things that this test has planted there.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod arena;
mod common;

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use arena::{
    Arena, is_root,
    table::{Attack, table},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// What is left out, at which level, and the attacks that nothing else stops there.
const ALONE: [(&str, &str, &[&str]); 19] = [
    (
        "private root",
        "full",
        &["stat_canary", "chmod_canary", "touch_canary"],
    ),
    ("mount namespace", "full", &["write_into_anothers_scratch"]),
    ("uts namespace", "full", &["see_the_machines_name"]),
    (
        "pid namespace",
        "full",
        &["find_the_decoy", "count_the_processes", "the_parent"],
    ),
    ("Landlock", "full", &["list_the_root"]),
    (
        "Landlock",
        "reduced",
        &[
            "read_canary",
            "read_canary_through_a_link",
            "read_canary_by_climbing",
            "read_canary_from_a_root_descriptor",
            "read_canary_by_openat2",
            "list_the_canarys_directory",
            "plant_a_file_beside",
            "write_a_tool_file",
        ],
    ),
    (
        "seccomp",
        "full",
        &[
            "fork",
            "fork_by_a_bare_call",
            "fork_by_the_newest_call",
            "become_a_file_in_memory",
            "make_a_netlink_socket",
            "secret_memory",
            "use_the_kernels_keys",
            "add_a_key",
            "stop_the_kernel_in_the_middle",
            "weaken_randomisation",
            "shared_memory_that_stays",
            "semaphores_that_stay",
            "watch_files",
            "loosen_the_filter",
            "let_others_read",
            "rules_as_memory",
            "read_canary_by_its_handle",
        ],
    ),
    (
        "seccomp",
        "reduced",
        &[
            "limit_the_decoy",
            "send_from_a_pair_to_a_path",
            "new_user_namespace",
        ],
    ),
    ("address space limit", "full", &["map_anonymous"]),
    ("thread limit", "full", &["more_threads_than_allowed"]),
    ("open files limit", "full", &["many_descriptors"]),
    ("file size limit", "full", &["write_one_huge_file"]),
    ("core limit", "full", &["a_core_dump"]),
    (
        "scratch file system",
        "full",
        &[
            "fill_the_scratch_directory",
            "fill_the_scratch_directory_with_names",
            "run_a_program_from_scratch",
            "make_a_privileged_program",
        ],
    ),
    ("setsid", "full", &["see_the_group"]),
    ("wall clock", "full", &["hang"]),
    ("seal", "full", &["forge_a_result"]),
    ("closed descriptors", "full", &["the_descriptors"]),
    (
        "cleared environment",
        "full",
        &["the_environment", "the_environment_in_memory"],
    ),
];

/// What two mechanisms stop, each of them alone.
const TOGETHER: [(&[&str], &[&str]); 3] = [
    (&["net namespace", "seccomp"], &["send_by_udp"]),
    (
        &["ipc namespace", "seccomp"],
        &["shared_memory_of_others", "messages_of_others"],
    ),
    (&["capabilities", "seccomp"], &["see_the_capabilities"]),
];

const INSIDE: &str = "ARENA_IS_THROWN_AWAY";
/// Executors at once.
const AT_ONCE: usize = 3;

/// Takes root, who can make the namespaces around it.
#[test]
fn each_mechanism_left_out_lets_its_own_attacks_through() {
    if std::env::var_os(INSIDE).is_some() {
        furnish();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let wrong = runtime.block_on(leave_out_one_after_the_other());
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        return;
    }
    assert!(
        is_root(),
        "run this as root, in a container or a virtual machine"
    );
    let around = [
        "--fork",
        "--kill-child",
        "--pid",
        "--mount",
        "--mount-proc",
        "--net",
        "--ipc",
        "--uts",
    ];
    let status = Command::new("unshare")
        .args(around)
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "each_mechanism_left_out_lets_its_own_attacks_through",
            "--nocapture",
        ])
        .env(INSIDE, "1")
        // It counts its tests; they are one with this one.
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "see above");
}

/// A /tmp and a loopback device of the namespaces' own.
fn furnish() {
    let done = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/tmp"])
        .status();
    assert!(done.unwrap().success());
    // SAFETY: the structure lives through the call; its name ends in a zero byte.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        assert_eq!(
            libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request),
            0
        );
        libc::close(socket);
    }
}

async fn leave_out_one_after_the_other() -> Vec<String> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut runs = JoinSet::new();
    let mut run = |off: Vec<String>, level: &'static str, names: &[&str], through: bool| {
        let places = places.clone();
        let attacks: Vec<Attack> = table()
            .into_iter()
            .filter(|attack| names.contains(&attack.name.as_str()))
            .collect();
        assert_eq!(attacks.len(), names.len(), "{names:?}");
        runs.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            leave_out(&off, level, &attacks, through).await
        });
    };
    for (mechanism, level, names) in ALONE {
        run(vec![mechanism.to_owned()], level, names, true);
    }
    for (mechanisms, names) in TOGETHER {
        let all: Vec<String> = mechanisms.iter().map(|name| (*name).to_owned()).collect();
        for alone in mechanisms {
            let others = all.iter().filter(|name| name != alone).cloned().collect();
            run(others, "full", names, false);
        }
        run(all, "full", names, true);
    }
    runs.join_all().await.concat()
}

/// What is not as it must be: with these left out the attacks get through, or they do not.
async fn leave_out(off: &[String], level: &str, attacks: &[Attack], through: bool) -> Vec<String> {
    let arena = Arena::open(level, |command| {
        command.env("CALLSPAN_ABLATE", off.join(","));
    })
    .await;
    let told = arena
        .executor
        .call("canary_of_a_tool", "{}")
        .await
        .isolation;
    let mut wrong = Vec::new();
    if told.unwrap().level != "none" {
        wrong.push(format!("{off:?}: the isolation is told to be there"));
    }
    for (attack, seen) in arena.fight(attacks).await {
        let mut stopped = attack.stopped_by(level);
        stopped.retain(|by| !off.iter().any(|name| name == by));
        assert_eq!(
            stopped.is_empty(),
            through,
            "{}: {off:?} {:?}",
            attack.name,
            attack.by
        );
        let right = if through {
            seen.contains("escaped")
        } else {
            attack.is_as_told(level, &seen)
        };
        if !right {
            wrong.push(format!(
                "{}/{} without {off:?} at {level}: {seen}",
                attack.room, attack.name
            ));
        }
    }
    wrong
}
