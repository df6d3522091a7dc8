//! When it does not serve: where the sandbox cannot be had nothing runs, and a venv of another Python is not taken.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    collections::BTreeMap,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Executor, children_of};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The program with the example tools, not started yet.
fn program(room: &Path) -> Command {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
    program_of(room, &tools)
}

fn program_of(room: &Path, tools: &Path) -> Command {
    let mut command = common::command();
    command
        .arg("--socket")
        .arg(room.join("s"))
        .arg("--tools")
        .arg(tools);
    command
}

fn venv() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(".venv")
}

/// What it says is wrong; it must fail with this exit status, and with a cure.
fn refused(command: &mut Command, status: i32) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{told}");
    assert!(
        told.starts_with("error: ") && told.contains("\nfix: "),
        "{told}"
    );
    told
}

/// As on a kernel that lacks a system call.
fn without(command: &mut Command, call: libc::c_long) -> &mut Command {
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let rules = BTreeMap::from([(call, Vec::new())]);
    let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch)
        .unwrap()
        .try_into()
        .unwrap();
    // SAFETY: between fork and exec only system calls are made: prctl and seccomp, on memory that was made before.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other))
    }
}

#[test]
fn without_landlock_nothing_runs() {
    let room = tempfile::tempdir().unwrap();
    let mut command = program(room.path());
    command.arg("--venv").arg(venv());
    let told = refused(without(&mut command, libc::SYS_landlock_create_ruleset), 1);
    assert!(
        told.contains("Landlock") && told.contains("--isolation none"),
        "{told}"
    );
    assert!(!room.path().join("s").exists());
}

/// What a child does to confine itself fails, though all seemed well: the call is not run.
#[tokio::test]
async fn a_child_that_cannot_confine_itself_runs_nothing() {
    let executor = Executor::start_by(
        "@tool\ndef leave(path: str) -> str:\n    \"\"\"Leave a trace.\"\"\"\n    open(path, 'w')\n    return 'ran'\n",
        |command| _ = without(command, libc::SYS_landlock_restrict_self),
    )
    .await;
    let problems = executor.list().await.problems;
    assert!(
        problems[0].message.contains("the sandbox: Landlock"),
        "{problems:?}"
    );
    assert!(executor.list().await.tools.is_empty());
}

#[test]
fn seatbelt_is_refused_where_there_is_better() {
    let room = tempfile::tempdir().unwrap();
    let mut command = program(room.path());
    command.arg("--venv").arg(venv());
    let told = refused(command.args(["--isolation", "seatbelt-unverified"]), 1);
    assert!(told.contains("seatbelt-unverified is for macOS"), "{told}");
}

#[tokio::test]
async fn isolation_none_is_asked_for_by_name_and_said_with_every_result() {
    let tools = "@tool\ndef echo(text: str) -> str:\n    \"\"\"Echo.\"\"\"\n    return text\n";
    let executor = Executor::start_with(&[("tools.py", tools)], &["--isolation", "none"]).await;
    let result = executor.call("echo", r#"{"text":"x"}"#).await;
    assert_eq!(
        (
            result.outcome.as_str(),
            result.isolation.unwrap().level.as_str()
        ),
        ("ok", "none")
    );
    for (asked, level) in [("auto", "full"), ("full", "full"), ("reduced", "reduced")] {
        let executor = Executor::start_with(&[("tools.py", tools)], &["--isolation", asked]).await;
        let result = executor.call("echo", r#"{"text":"x"}"#).await;
        let isolation = result.isolation.unwrap();
        assert_eq!((asked, isolation.level.as_str()), (asked, level));
        assert!(
            isolation.active.iter().any(|word| word == "landlock"),
            "{isolation:?}"
        );
    }
}

#[test]
fn a_venv_of_another_python_is_not_taken() {
    let room = tempfile::tempdir().unwrap();
    let other = room.path().join("venv");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(
        other.join("pyvenv.cfg"),
        "home = /usr/bin\nversion = 3.8.1\n",
    )
    .unwrap();
    let told = refused(program(room.path()).arg("--venv").arg(&other), 2);
    assert!(told.contains("is for Python 3.8.1"), "{told}");
    std::fs::remove_file(other.join("pyvenv.cfg")).unwrap();
    assert!(refused(program(room.path()).arg("--venv").arg(&other), 2).contains("pyvenv.cfg"));
}

#[test]
fn a_tools_directory_that_is_none_is_named_for_what_it_is() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("tools.py");
    std::fs::write(&file, "").unwrap();
    let told = refused(&mut program_of(room.path(), &file), 2);
    assert!(told.contains("tools.py is not a directory"), "{told}");
    let told = refused(&mut program_of(room.path(), &room.path().join("none")), 2);
    assert!(told.contains("none does not exist"), "{told}");
}

#[test]
fn it_ends_cleanly_while_it_still_reads_the_tools() {
    let room = tempfile::tempdir_in("/tmp").unwrap();
    let tools = room.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("slow.py"), "import time\ntime.sleep(60)\n").unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut process = program_of(room.path(), &tools)
        .arg("--venv")
        .arg(venv())
        .env("TMPDIR", temporary.path())
        .spawn()
        .unwrap();
    // Once the zygote, whom another process watches, has a child that stays, the file is being read.
    let pid = process.id();
    let reads = || {
        let watcher = *children_of(pid).first()? as u32;
        let zygote = *children_of(watcher).first()? as u32;
        children_of(zygote).first().copied()
    };
    let mut last = None;
    while last.is_none() || last != reads() {
        assert!(process.try_wait().unwrap().is_none());
        last = reads();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let started = std::time::Instant::now();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    assert!(!room.path().join("s").exists());
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
}

#[test]
fn it_leaves_nothing_however_early_it_is_told_to_stop() {
    for ms in [1, 3, 10, 30, 60, 100, 150, 200, 300] {
        let room = tempfile::tempdir_in("/tmp").unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let mut process = program(room.path())
            .arg("--venv")
            .arg(venv())
            .env("TMPDIR", temporary.path())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(ms));
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = process.wait().unwrap();
        // In its first moments it has nothing that it would have to put away.
        assert!(matches!(status.code(), Some(0) | None), "{ms}: {status}");
        assert!(!room.path().join("s").exists());
        assert_eq!(temporary.path().read_dir().unwrap().count(), 0, "{ms}");
    }
}

#[test]
fn a_control_group_that_cannot_be_used_is_not_passed_over() {
    let room = tempfile::tempdir().unwrap();
    let mut command = program(room.path());
    command.arg("--venv").arg(venv());
    command.arg("--cgroup").arg(room.path());
    let told = refused(&mut command, 2);
    assert!(told.contains("is no group of cgroup v2"), "{told}");
}
