//! The lists of system calls, held against what is really called: nothing that tools need is missing, and nothing is
//! allowed for no reason.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Executor, error_of};
use seccompiler::BpfProgram;
use serde_json::{Value, json};

const ALLOW: &str = include_str!("../policy/seccomp-allow.json");
const EVERYDAY: &str = include_str!("workload/everyday.py");
/// What libraries ask for and do without: `OpenBLAS`, for memory near a processor.
const IN_VAIN: [&str; 1] = ["mbind"];

const VSOCK: i64 = 40;
const SO_ATTACH_FILTER: i64 = 26;

const ATTEMPTS: &str = r#"
import ctypes

@tool
def call(number: int, arguments: list[int]) -> int:
    """Make a system call; gives its error."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return ctypes.get_errno() if result == -1 else 0
"#;

/// The entries of a list, as far as they are for this architecture.
fn entries(list: &str) -> Vec<Value> {
    let lists: Value = serde_json::from_str(ALLOW).unwrap();
    let entries = lists[list]["filter"].as_array().unwrap().clone();
    let here = |entry: &Value| {
        entry
            .get("only")
            .is_none_or(|only| only == std::env::consts::ARCH)
    };
    entries.into_iter().filter(here).collect()
}

fn name(entry: &Value) -> String {
    entry["syscall"].as_str().unwrap().to_owned()
}

/// A call's number: what a list of it alone compares with, right after the number was loaded.
fn number(name: &str) -> u32 {
    let list = json!({"one": {
        "mismatch_action": "allow", "match_action": "trap", "filter": [{"syscall": name}]
    }});
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let programs: HashMap<String, BpfProgram> =
        seccompiler::compile_from_json(list.to_string().as_bytes(), arch).unwrap();
    let program = &programs["one"];
    let load = program
        .iter()
        .position(|step| step.code == 0x20 && step.k == 0)
        .unwrap();
    program[load + 1].k
}

/// The error of a system call that a tool makes.
async fn attempt(executor: &Executor, number: u32, arguments: &[i64]) -> ipc::proto::ToolResult {
    let arguments = json!({"number": number, "arguments": arguments}).to_string();
    executor.call("call", &arguments).await
}

/// What the zygote and its children call while a tool of each kind runs, each with whether it was refused.
async fn traced(executor: &Executor, log: &Path) -> BTreeMap<String, bool> {
    let tools = executor.list().await.tools;
    let deadline = Instant::now() + Duration::from_secs(10);
    // The one that knew of no grants ends.
    while executor.zygotes().len() != 1 {
        assert!(Instant::now() < deadline, "{:?}", executor.zygotes());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let zygote = executor.zygotes()[0];
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-p", &zygote.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{zygote}/status");
    while fs::read_to_string(&status)
        .unwrap()
        .contains("TracerPid:\t0\n")
    {
        assert!(Instant::now() < deadline, "strace does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for tool in tools {
        let result = executor.call(&tool.name, "{}").await;
        assert_eq!(result.outcome, "ok", "{}: {result:?}", tool.name);
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&strace),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    strace.wait().unwrap();
    let mut called = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        // 1234 name(…) = -1 EPERM (…), or the two halves of it.
        let call = line
            .split_once(' ')
            .map_or("", |(_, call)| call.trim_start());
        let call = call.strip_prefix("<... ").unwrap_or(call);
        let end = call.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let name = call.get(..end.unwrap_or(0)).unwrap_or_default();
        if !name.is_empty() {
            *called.entry(name.to_owned()).or_default() |= line.contains("= -1 EPERM");
        }
    }
    called
}

#[tokio::test]
async fn tools_call_what_is_allowed_and_no_more_is_allowed_than_has_a_reason() {
    let has_strace = Command::new("strace").arg("-V").output().is_ok();
    if !has_strace || !rustix::process::geteuid().is_root() {
        eprintln!("not run: this takes root and strace");
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let policy = room.path().join("policy.toml");
    fs::write(room.path().join("given.txt"), "given").unwrap();
    fs::write(
        &policy,
        "[default]\nwall_ms = 60000\n[tools.files]\nread = [\"given.txt\"]\n",
    )
    .unwrap();
    let flags = ["--spares", "0", "--policy", policy.to_str().unwrap()];
    let executor = Executor::start_with(&[("everyday.py", EVERYDAY)], &flags).await;
    let called = traced(&executor, &room.path().join("log")).await;
    let names: BTreeSet<String> = called.keys().cloned().collect();
    let refused: Vec<&String> = called
        .iter()
        .filter(|(_, refused)| **refused)
        .map(|(name, _)| name)
        .collect();
    let entries = entries("allow");
    let needed: BTreeSet<String> = entries
        .iter()
        .filter(|entry| entry.get("spare").is_none())
        .map(name)
        .collect();
    let allowed: BTreeSet<String> = entries.iter().map(name).collect();
    let missing: Vec<_> = names
        .difference(&allowed)
        .filter(|name| *name != "clone3")
        .collect();
    assert!(
        missing.iter().all(|name| IN_VAIN.contains(&name.as_str())),
        "missing: {missing:?}"
    );
    assert!(
        refused.iter().all(|name| IN_VAIN.contains(&name.as_str())),
        "refused: {refused:?}"
    );
    let redundant: Vec<_> = needed.difference(&names).collect();
    assert!(redundant.is_empty(), "nobody calls {redundant:?}");
}

/// What no tool here calls, but others may, is there for them all the same.
#[tokio::test]
async fn what_is_allowed_in_reserve_is_not_refused() {
    let executor = Executor::start(ATTEMPTS).await;
    for entry in entries("allow")
        .iter()
        .filter(|entry| entry.get("spare").is_some())
    {
        let mut arguments = [-1; 6];
        for condition in entry
            .get("args")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            arguments[condition["index"].as_u64().unwrap() as usize] =
                condition["val"].as_i64().unwrap();
        }
        let result = attempt(&executor, number(&name(entry)), &arguments).await;
        assert_eq!(result.outcome, "ok", "{entry}: {result:?}");
        assert_ne!(result.result, libc::EPERM.to_string(), "{entry}");
    }
}

#[tokio::test]
async fn what_is_on_no_list_is_refused() {
    let executor = Executor::start(ATTEMPTS).await;
    for (name, arguments) in [
        ("socket", vec![VSOCK, 1, 0]),
        ("socket", vec![1, 1, 0]),
        ("socketpair", vec![1, 2, 0, 0]),
        ("setsockopt", vec![0, 1, SO_ATTACH_FILTER, 0, 0]),
        ("memfd_create", vec![0, 0]),
        ("membarrier", vec![0, 0, 0]),
        ("rseq", vec![0, 0, 0, 0]),
        ("ioctl", vec![0, 0x5412, 0]),
        ("prctl", vec![4, 1, 0, 0, 0]),
        ("execve", vec![0, 0, 0]),
        ("kill", vec![1, 0]),
        ("personality", vec![-1]),
        ("landlock_create_ruleset", vec![0, 0, 1]),
        ("seccomp", vec![2, 0, 0]),
        ("mq_open", vec![0, 0, 0, 0]),
        ("shmget", vec![0, 4096, 0o1600]),
    ] {
        let result = attempt(&executor, number(name), &arguments).await;
        assert_eq!(result.result, libc::EPERM.to_string(), "{name}: {result:?}");
    }
    let result = attempt(&executor, number("clone3"), &[0, 0]).await;
    assert_eq!(result.result, libc::ENOSYS.to_string(), "{result:?}");
}

#[tokio::test]
async fn what_only_an_attacker_calls_is_deadly_each_by_itself() {
    let executor = Executor::start(ATTEMPTS).await;
    let deny: Value = serde_json::from_str(include_str!("../policy/seccomp-deny.json")).unwrap();
    let of_child = deny["kill"]["filter"].as_array().unwrap().clone();
    for entry in entries("kill").iter().chain(&of_child) {
        let result = attempt(&executor, number(&name(entry)), &[-1; 6]).await;
        assert_eq!(
            result.outcome,
            "syscall_killed",
            "{entry}: {}",
            error_of(&result)
        );
    }
}
