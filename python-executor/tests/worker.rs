//! Children as macOS has them, each this program started anew: on Linux, in a build for that, with a script in the place
//! of sandbox-exec that confines nothing. So this shows that workers work, and nothing of what Seatbelt would stop.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{Executor, call, command, descendants, ended, error_of, gone, rests};
use ipc::proto::{Health, Meta, RunCode, ToolResult, frame::Body};

const TOOLS: &str = r#"
import os
import resource
import time

@tool
def pid() -> int:
    """Tell the process."""
    return os.getpid()

@tool(wall_ms=300)
def hang() -> None:
    """Never end."""
    while True:
        pass

@tool
def wait(seconds: float) -> None:
    """Wait, so that no signal that can be ignored ends it."""
    import signal
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print("waiting", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

@tool
def shout() -> None:
    """Write to every descriptor."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"print me\n")
        except OSError:
            pass

@tool(cpu_s=1)
def compute() -> None:
    """Compute for long."""
    while True:
        pass

@tool
def bounds() -> dict:
    """Tell limits."""
    names = ("CORE", "FSIZE", "NOFILE", "MEMLOCK", "CPU")
    most = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in names}
    return {"most": most, "here": os.getcwd(), "open": len(os.listdir("/dev/fd")), "variables": len(os.environ)}
"#;

/// Its own copy of the stand-in, which notes beside itself what it was told.
fn stand_in(room: &Path) -> PathBuf {
    let path = room.join("sandbox-exec");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(here.join("tests/stand-in-for-sandbox-exec"), &path).unwrap();
    path
}

fn room() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

async fn start(room: &Path, arguments: &[&str]) -> Executor {
    Executor::start_by(TOOLS, |command| {
        // A session of its own, as a service manager gives it: whoever takes orphans in may be of ours, in a container, and
        // the kernel then leaves their stopped groups alone.
        // SAFETY: a system call, which is allowed between fork and exec.
        unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
        command
            .env("CALLSPAN_SANDBOX_EXEC", stand_in(room))
            // An executor that is killed, as at the end of a test, leaves its scratch directory there.
            .env("TMPDIR", room)
            .args(["--isolation", "seatbelt-unverified"])
            .args(arguments);
    })
    .await
}

#[tokio::test]
async fn a_worker_answers_and_says_that_nobody_has_verified_what_confines_it() {
    let room = room();
    let executor = start(room.path(), &["--spares", "0"]).await;
    let result = executor.call("pid", "{}").await;
    assert_eq!(
        (result.outcome.as_str(), result.start.as_str()),
        ("ok", "fork"),
        "{result:?}"
    );
    assert!(result.cpu_us > 0 && result.max_rss_kib > 1000, "{result:?}");
    let isolation = result.isolation.unwrap();
    assert_eq!(isolation.level, "seatbelt-unverified");
    assert!(
        isolation
            .active
            .iter()
            .any(|word| word.contains("never verified"))
    );
    assert!(
        isolation
            .missing
            .iter()
            .any(|word| word == "address space limit")
    );
    let client = executor.client().await;
    let mut asked = client
        .call(Body::Health(Health::default()), Meta::default())
        .await
        .unwrap();
    match asked.next().await.unwrap().unwrap() {
        Body::HealthReport(report) => assert!(
            format!("{report:?}").contains("seatbelt-unverified"),
            "{report:?}"
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_spare_worker_is_used_once_and_rests_until_then() {
    let room = room();
    let executor = start(room.path(), &["--spares", "1"]).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let result = spare(&executor).await;
        assert_eq!(result.outcome, "ok", "{result:?}");
        assert!(!seen.contains(&result.result), "{seen:?} {result:?}");
        seen.push(result.result);
    }
    let resting = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" T"))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let workers = descendants(executor.process.id());
        if !workers.is_empty() && workers.iter().all(resting) {
            break;
        }
        assert!(Instant::now() < deadline, "{workers:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first call that a spare serves: they are made beside everything else.
async fn spare(executor: &Executor) -> ToolResult {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let result = executor.call("pid", "{}").await;
        if result.start == "spare" {
            return result;
        }
        assert!(Instant::now() < deadline, "{result:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_when_its_time_is_up() {
    let room = room();
    let executor = start(room.path(), &[]).await;
    let result = executor.call("hang", "{}").await;
    assert_eq!(result.outcome, "timeout", "{result:?}");
    assert!((300_000..2_000_000).contains(&result.wall_us), "{result:?}");
}

#[tokio::test]
async fn a_cancelled_worker_is_gone_at_once() {
    let room = room();
    let executor = start(room.path(), &["--spares", "0"]).await;
    let client = executor.client().await;
    let mut waiting = client
        .call(call("wait", r#"{"seconds":30}"#), Meta::default())
        .await
        .unwrap();
    assert!(matches!(
        waiting.next().await.unwrap().unwrap(),
        Body::Delta(_)
    ));
    let workers = descendants(executor.process.id());
    assert_eq!(workers.len(), 1, "{workers:?}");
    drop(waiting);
    for worker in workers {
        gone(worker).await;
    }
}

#[tokio::test]
async fn a_workers_processor_time_is_bounded() {
    let room = room();
    let executor = start(room.path(), &["--wall-ms", "20000"]).await;
    let result = executor.call("compute", "{}").await;
    assert_eq!(result.outcome, "cpu_limit", "{result:?}");
}

#[tokio::test]
async fn a_worker_has_its_limits_its_own_directory_and_nothing_of_the_executors() {
    let room = room();
    let executor = start(room.path(), &[]).await;
    let result = executor.call("bounds", "{}").await;
    let found: serde_json::Value = serde_json::from_str(&result.result).unwrap();
    let most = &found["most"];
    let known = ["CORE", "FSIZE", "NOFILE", "MEMLOCK"].map(|name| most[name].as_u64().unwrap());
    assert_eq!(known, [0, 64 << 20, 64, 0], "{found}");
    assert!(
        (10..=13).contains(&most["CPU"].as_u64().unwrap()),
        "{found}"
    );
    assert!(
        found["here"]
            .as_str()
            .unwrap()
            .contains("callspan-scratch-"),
        "{found}"
    );
    // The three of every process, the channel, the lifeline, and that by which they are listed.
    assert_eq!(found["open"], 6, "{found}");
    assert!(found["variables"].as_u64().unwrap() < 10, "{found}");
}

#[tokio::test]
async fn what_a_tool_writes_to_its_channel_is_no_answer() {
    let room = room();
    let executor = start(room.path(), &[]).await;
    let result = executor.call("shout", "{}").await;
    assert_eq!(result.outcome, "protocol", "{result:?}");
    assert!(error_of(&result).contains("the tool wrote to the result's channel"));
    assert_eq!(executor.call("pid", "{}").await.outcome, "ok");
}

#[tokio::test]
async fn no_worker_outlives_its_supervisor() {
    let room = room();
    let mut executor = start(room.path(), &["--spares", "1"]).await;
    // One at work that ignores what it can, one of a session, and spares that rest.
    let client = executor.client().await;
    let mut at_work = client
        .call(call("wait", r#"{"seconds":30}"#), Meta::default())
        .await
        .unwrap();
    assert!(matches!(
        at_work.next().await.unwrap().unwrap(),
        Body::Delta(_)
    ));
    let snippet = Body::RunCode(RunCode {
        code: "1".to_owned(),
        session: "new".to_owned(),
        ..RunCode::default()
    });
    let mut session = client.call(snippet, Meta::default()).await.unwrap();
    assert_eq!(ended(&mut session).await.unwrap().outcome, "ok");
    spare(&executor).await;
    let workers = descendants(executor.process.id());
    assert!(workers.len() >= 3, "{workers:?}");
    // All but the one at work have been told to stop, the session's and the spares. Of one that is still on its way to that,
    // with one of its threads, the kernel does not know that it must be woken.
    let goes_on = |worker: &&i32| !rests(**worker);
    let deadline = Instant::now() + Duration::from_secs(10);
    while workers.iter().filter(goes_on).count() > 1 {
        assert!(Instant::now() < deadline, "they do not rest: {workers:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    executor.process.kill().unwrap();
    for worker in workers {
        gone(worker).await;
    }
}

#[tokio::test]
async fn granted_paths_are_parameters_of_the_profile_and_never_its_text() {
    let room = room();
    let strange = room.path().join("a\")) (allow default) ((\"");
    std::fs::create_dir(&strange).unwrap();
    let policy = room.path().join("policy.toml");
    let granted = toml::Value::String(strange.to_str().unwrap().to_owned());
    std::fs::write(&policy, format!("[default]\nwrite = [{granted}]\n")).unwrap();
    let executor = start(
        room.path(),
        &["--spares", "0", "--policy", policy.to_str().unwrap()],
    )
    .await;
    assert_eq!(executor.call("pid", "{}").await.outcome, "ok");
    let told = std::fs::read_to_string(room.path().join("sandbox-exec.told")).unwrap();
    let (parameters, profile) = told.split_once("; What a worker may do").unwrap();
    assert!(
        parameters
            .lines()
            .any(|line| line.ends_with(&format!("={}", strange.display()))),
        "{told}"
    );
    assert!(!profile.contains("allow default"), "{told}");
    let rules = profile
        .lines()
        .filter(|line| line.contains("(param \"PATH"));
    let writing = rules.filter(|line| line.starts_with("(allow file-read* file-write* (subpath"));
    assert_eq!(writing.count(), 1, "{told}");
}

#[test]
fn the_profile_is_whole_and_each_of_its_rules_has_a_reason() {
    let text = include_str!("../policy/seatbelt.sb");
    let mut rules = String::new();
    for paragraph in text.split("\n\n") {
        assert!(paragraph.starts_with("; "), "{paragraph}");
        for line in paragraph.lines().filter(|line| !line.starts_with(';')) {
            // Names and paths are between quotation marks.
            rules.extend(line.split('"').step_by(2));
            rules.push('\n');
        }
    }
    assert!(
        rules.starts_with("(version 1)\n(deny default)\n"),
        "{rules}"
    );
    let mut depth = 0;
    for character in rules.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        assert!(depth >= 0, "{rules}");
    }
    assert_eq!(depth, 0, "{rules}");
    for never in ["default", "network", "process-fork", "system-socket"] {
        let allowed = rules.split("(allow ").skip(1);
        assert_eq!(
            allowed.filter(|rule| rule.contains(never)).count(),
            0,
            "{never}"
        );
    }
}

#[test]
fn doctor_finds_that_a_profile_does_not_hold() {
    let room = room();
    let output = command()
        .args(["doctor", "--json", "--isolation", "seatbelt-unverified"])
        .arg("--tools")
        .arg(room.path())
        .env("CALLSPAN_SANDBOX_EXEC", stand_in(room.path()))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let table: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(table["level"], "seatbelt-unverified");
    let states: Vec<_> = table["mechanisms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].as_str().unwrap())
        .collect();
    // The stand-in confines nothing.
    assert_eq!(
        states,
        ["broken", "broken", "broken", "active", "missing", "active"],
        "{told}"
    );
    assert!(!output.status.success());
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        why.contains("Seatbelt: files is in force but does not hold"),
        "{why}"
    );
}

#[test]
fn where_there_are_no_zygotes_only_what_is_asked_for_by_name_begins() {
    for isolation in ["auto", "full", "reduced"] {
        let output = command().args(["--isolation", isolation]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let why = String::from_utf8(output.stderr).unwrap();
        for word in [
            "namespaces, Landlock, seccomp",
            "virtual machine",
            "--isolation seatbelt-unverified",
            "never been run",
            "--isolation none",
        ] {
            assert!(why.contains(word), "{word}: {why}");
        }
    }
}

#[test]
fn without_what_confines_a_worker_nothing_begins() {
    let room = room();
    let output = command()
        .args(["--isolation", "seatbelt-unverified", "--tools"])
        .arg(room.path())
        .env("CALLSPAN_SANDBOX_EXEC", "/nowhere/sandbox-exec")
        .output()
        .unwrap();
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && why.contains("there is no /nowhere/sandbox-exec"),
        "{why}"
    );
}

#[tokio::test]
async fn isolation_none_starts_workers_as_they_are() {
    let room = room();
    let executor = Executor::start_by(TOOLS, |command| {
        command
            .env("TMPDIR", room.path())
            .args(["--isolation", "none"]);
    })
    .await;
    let result = executor.call("pid", "{}").await;
    assert_eq!(
        (
            result.outcome.as_str(),
            result.isolation.unwrap().level.as_str()
        ),
        ("ok", "none")
    );
}
