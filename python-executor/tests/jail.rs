//! The full jail seen from outside, as root can see it: what its processes have, and what they have not.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{PipeReader, Read, Write},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

use common::{Executor, call, error_of, only_child};
use ipc::{
    client::Call,
    proto::{Meta, frame::Body},
};

const TOOLS: &str = r#"
import os, socket, time

@tool
def look() -> dict:
    """Tell what can be seen."""
    return {
        "pid": os.getpid(), "parent": os.getppid(), "uid": os.getuid(), "gid": os.getgid(),
        "groups": os.getgroups(), "host": socket.gethostname(), "here": os.getcwd(),
        "environment": sorted(os.environ), "file": __file__,
    }

@tool
def exists(paths: list[str]) -> list[str]:
    """Tell which of these there are."""
    return [path for path in paths if os.path.lexists(path)]

@tool
def find(word: str) -> list[str]:
    """Look for a word in the text files of the Python environment that tell of how it was made."""
    found = []
    for path in ["/venv/pyvenv.cfg", "/venv/bin/activate", "/venv/bin/pip"]:
        try:
            found += [path] if word in open(path).read() else []
        except OSError:
            pass
    return found

@tool
def fill(mib: int) -> int:
    """Write a file."""
    with open("big", "wb") as file:
        for _ in range(mib):
            file.write(bytes(1 << 20))
    return mib

@tool
def crowd(files: int) -> int:
    """Make files."""
    for i in range(files):
        open(str(i), "w").close()
    return files

@tool
def wait(seconds: float) -> str:
    """Wait."""
    print("waiting", flush=True)
    time.sleep(seconds)
    return "done"
"#;

/// In a user namespace with these maps, in which no other can be made.
fn without_user_namespaces(command: &mut Command, maps: &'static str) {
    let (mut told, tell) = std::io::pipe().unwrap();
    let (wait, mut go) = std::io::pipe().unwrap();
    // Spawning waits for the program to start, and that waits for the maps.
    std::thread::spawn(move || {
        let mut pid = [0; 4];
        told.read_exact(&mut pid).unwrap();
        let pid = i32::from_ne_bytes(pid);
        for file in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{pid}/{file}"), maps).unwrap();
        }
        go.write_all(b"!").unwrap();
    });
    let forbid = move || -> std::io::Result<()> {
        // SAFETY: this is the copy of a process, with one thread.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) }?;
        let mut wait: &PipeReader = &wait;
        let mut tell = &tell;
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        tell.write_all(&pid.to_ne_bytes())?;
        wait.read_exact(&mut [0])?;
        fs::write("/proc/sys/user/max_user_namespaces", "0")
    };
    // SAFETY: between fork and exec only system calls are made, on memory that is the copy's own.
    unsafe { command.pre_exec(forbid) };
}

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("{test} was not run: only root sees so much of other processes");
    }
    root
}

/// An executor in which one child runs a tool; with the zygote and that child.
async fn running(more: impl FnOnce(&mut Command)) -> (Executor, Call, i32, i32) {
    let executor = Executor::start_by(TOOLS, |command| {
        more(command.args(["--spares", "0"]));
    })
    .await;
    let client = executor.client().await;
    let body = call("wait", r#"{"seconds":4}"#);
    let mut waiting = client.call(body, Meta::default()).await.unwrap();
    match waiting.next().await.unwrap().unwrap() {
        Body::Delta(delta) => assert!(delta.stdout.starts_with("waiting"), "{delta:?}"),
        other => panic!("{other:?}"),
    }
    let zygote = executor.zygotes()[0];
    let child = only_child(zygote).await;
    (executor, waiting, zygote, child)
}

fn status(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| {
            (
                key.to_owned(),
                value.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect()
}

/// Where each mount is, with its options.
fn mounts(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[4].to_owned(), words[5].to_owned())
        })
        .collect()
}

async fn look(executor: &Executor) -> serde_json::Value {
    let result = executor.call("look", "{}").await;
    assert_eq!(result.isolation.unwrap().level, "full");
    serde_json::from_str(&result.result).unwrap()
}

#[tokio::test]
async fn a_tool_is_alone_and_called_something_else() {
    let executor = Executor::start(TOOLS).await;
    let seen = look(&executor).await;
    assert_eq!((&seen["pid"], &seen["parent"]), (&1.into(), &0.into()));
    assert_eq!((&seen["uid"], &seen["gid"]), (&65534.into(), &65534.into()));
    assert_eq!(seen["host"], "callspan");
    assert_eq!(seen["here"], "/box/scratch");
    assert_eq!(seen["file"], "/tools/tools.py");
}

#[tokio::test]
async fn nothing_of_the_host_has_a_name_inside() {
    let executor = Executor::start(TOOLS).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let room = executor.room.path();
    let hidden = [
        Path::new("/proc"),
        Path::new("/proc/self"),
        Path::new("/sys"),
        Path::new("/tmp"),
        Path::new("/run"),
        Path::new("/etc/passwd"),
        Path::new("/etc/hostname"),
        Path::new("/etc/machine-id"),
        Path::new("/home"),
        Path::new("/root"),
        Path::new("/var"),
        Path::new("/dev/shm"),
        Path::new("/dev/tty"),
        Path::new("/dev/ptmx"),
        root,
        room,
        &executor.socket,
    ];
    let there = [
        "/usr",
        "/venv/lib",
        "/callspan/callspan",
        "/tools/tools.py",
        "/dev/null",
        "/box/scratch",
    ]
    .map(Path::new);
    let paths = [&hidden[..], &there[..]].concat();
    let arguments = serde_json::json!({ "paths": paths }).to_string();
    let result = executor.call("exists", &arguments).await;
    let seen: Vec<&Path> = serde_json::from_str(&result.result).unwrap();
    assert_eq!(seen, there);
    let word = root.file_name().unwrap().to_str().unwrap();
    let found = executor
        .call("find", &format!(r#"{{"word":"{word}"}}"#))
        .await;
    assert_eq!(found.result, "[]", "what the venv tells of where it is");
}

#[tokio::test]
async fn the_root_holds_what_it_must_and_no_more() {
    if !is_root("the_root_holds_what_it_must_and_no_more") {
        return;
    }
    let (_executor, _call, zygote, child) = running(|_| ()).await;
    let root = format!("/proc/{zygote}/root");
    let names = |path: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(format!("{root}{path}")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let set = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let system = [
        "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix",
    ];
    let system = system
        .iter()
        .filter(|name| Path::new("/").join(name).symlink_metadata().is_ok());
    let own = ["box", "callspan", "dev", "etc", "tools", "venv"];
    let all: Vec<&str> = own.iter().chain(system).copied().collect();
    assert_eq!(names("/"), set(&all));
    assert_eq!(names("/dev"), set(&["null", "urandom", "zero"]));
    assert_eq!(names("/venv/bin"), set(&["python"]));
    let settings = ["ca-certificates", "ld.so.cache", "localtime", "pki", "ssl"];
    assert!(
        names("/etc").is_subset(&set(&settings)),
        "{:?}",
        names("/etc")
    );
    // Nothing can be written but what each child has for itself.
    let shared = mounts(zygote);
    for (at, options) in &shared {
        assert!(options.starts_with("ro,nosuid"), "{at}: {options}");
    }
    let mut of_child = mounts(child);
    let scratch = of_child.remove("/box/scratch").unwrap();
    assert!(scratch.starts_with("rw,nosuid,nodev,noexec"), "{scratch}");
    assert_eq!(of_child, shared);
}

#[tokio::test]
async fn a_child_has_no_privilege_left_and_each_namespace_its_own() {
    if !is_root("a_child_has_no_privilege_left_and_each_namespace_its_own") {
        return;
    }
    let (executor, _call, zygote, child) = running(|_| ()).await;
    let told = status(child);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(told[set], "0000000000000000", "{set}");
    }
    assert_eq!((&told["NoNewPrivs"][..], &told["Seccomp"][..]), ("1", "2"));
    assert_eq!(told["Uid"], "65534 65534 65534 65534");
    assert_eq!(told["Groups"], "");
    // Its number in each process namespace: ours, the zygote's, its own.
    assert!(
        told["NSpid"].ends_with(" 1") && told["NSpid"].split(' ').count() >= 3,
        "{}",
        told["NSpid"]
    );
    let namespace = |pid: i32, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    let executor_pid = executor.process.id() as i32;
    for name in ["user", "mnt", "net", "ipc", "uts", "cgroup", "pid"] {
        assert_ne!(
            namespace(zygote, name),
            namespace(executor_pid, name),
            "{name}"
        );
    }
    for name in ["mnt", "pid"] {
        assert_ne!(namespace(child, name), namespace(zygote, name), "{name}");
    }
    // Its network has no interface but the loopback, which is down.
    let devices = fs::read_to_string(format!("/proc/{child}/net/dev")).unwrap();
    let names: Vec<&str> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(names, ["lo"]);
    let routes = fs::read_to_string(format!("/proc/{child}/net/route")).unwrap();
    assert!(routes.lines().count() <= 1, "a heading at most: {routes}");
}

#[tokio::test]
async fn the_scratch_directory_is_bounded() {
    let room = tempfile::tempdir().unwrap();
    let policy = room.path().join("policy.toml");
    fs::write(&policy, "[default]\nscratch_mib = 4\n").unwrap();
    let flags = ["--policy", policy.to_str().unwrap()];
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &flags).await;
    assert_eq!(executor.call("fill", r#"{"mib":3}"#).await.outcome, "ok");
    let full = error_of(&executor.call("fill", r#"{"mib":6}"#).await);
    assert!(
        full.contains("No space left") || full.contains("too large"),
        "{full}"
    );
    assert_eq!(
        executor.call("crowd", r#"{"files":4000}"#).await.outcome,
        "ok"
    );
    let full = error_of(&executor.call("crowd", r#"{"files":5000}"#).await);
    assert!(full.contains("No space left"), "{full}");
}

/// These tests again, but for those that only root can do.
#[test]
fn an_ordinary_user_has_the_same_jail() {
    if !is_root("an_ordinary_user_has_the_same_jail") {
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut again = Command::new(&program);
    again.args(["--test-threads", "2"]).uid(12_345).gid(12_345);
    let output = match again.output() {
        Ok(output) => output,
        Err(error) => {
            let place = program.display();
            eprintln!("not run as an ordinary user, who cannot come to {place}: {error}");
            return;
        }
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        told.contains("test nothing_of_the_host_has_a_name_inside ... ok"),
        "{told}"
    );
}

#[tokio::test]
async fn root_has_the_full_jail_without_user_namespaces() {
    if !is_root("root_has_the_full_jail_without_user_namespaces") {
        return;
    }
    let forbid = |command: &mut Command| without_user_namespaces(command, "0 0 65536\n");
    let (executor, _call, zygote, child) = running(forbid).await;
    let seen = look(&executor).await;
    assert_eq!((&seen["uid"], &seen["pid"]), (&65534.into(), &1.into()));
    let namespace = |pid: i32, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    assert_eq!(
        namespace(zygote, "user"),
        namespace(executor.process.id() as i32, "user")
    );
    let told = status(child);
    assert_eq!(
        (&told["CapEff"][..], &told["CapBnd"][..]),
        ("0000000000000000", "0000000000000000")
    );
    assert_eq!(told["Uid"], "65534 65534 65534 65534");
}

#[tokio::test]
async fn where_namespaces_are_forbidden_it_is_reduced_and_says_why_and_what_to_do() {
    if !is_root("where_namespaces_are_forbidden_it_is_reduced_and_says_why_and_what_to_do") {
        return;
    }
    // There is no user here but the caller, so that root is not root.
    let executor =
        Executor::start_by(TOOLS, |command| without_user_namespaces(command, "0 0 1\n")).await;
    let isolation = executor
        .call("wait", r#"{"seconds":0}"#)
        .await
        .isolation
        .unwrap();
    assert_eq!(isolation.level, "reduced");
    assert!(
        isolation.missing.iter().any(|word| word == "namespaces"),
        "{isolation:?}"
    );
    let cure = isolation.cures.first().unwrap();
    assert_eq!(cure, "as root: sysctl -w user.max_user_namespaces=10000");
}

#[test]
fn full_refuses_to_start_with_less() {
    if !is_root("full_refuses_to_start_with_less") {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = common::command();
    command
        .args(["--isolation", "full", "--socket"])
        .arg(room.path().join("s"));
    command
        .arg("--tools")
        .arg(root.join("python-executor/tools"));
    without_user_namespaces(&mut command, "0 0 1\n");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        told.contains("user.max_user_namespaces is 0")
            && told.contains("\nfix: as root: sysctl -w"),
        "{told}"
    );
}

#[tokio::test]
async fn what_the_jails_user_cannot_read_is_named_with_its_cure() {
    if !is_root("what_the_jails_user_cannot_read_is_named_with_its_cure") {
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let secret = room.path().join("secret.py");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = common::command();
    command
        .args(["--isolation", "full", "--socket"])
        .arg(room.path().join("s"));
    command.arg("--tools").arg(room.path());
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        told.contains("secret.py") && told.contains("fix: chmod -R a+rX"),
        "{told}"
    );
}
