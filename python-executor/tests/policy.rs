//! What a deployment's policy file and flags do to calls.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{io::Read, path::PathBuf, process::Stdio};

use common::{Executor, error_of};

const TOOLS: &str = r#"import time

@tool
def read_text(path: str) -> str:
    "Reads a file."
    return open(path).read()

@tool
def write_text(path: str) -> str:
    "Writes a file, and reads the one beside its directory."
    with open(path, "w") as file:
        file.write("written")
    return open(path.rsplit("/", 2)[0] + "/a.txt").read()

@tool
def wait_for(seconds: float) -> float:
    "Waits."
    time.sleep(seconds)
    return seconds

@tool
def print_letters(count: int) -> int:
    "Prints."
    print("x" * count)
    return count

@tool
def take_mib(count: int) -> int:
    "Takes memory."
    return len(bytearray(count << 20)) >> 20
"#;

/// A policy file, and the room it lies in.
fn policy(text: &str) -> (tempfile::TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(room.path().join("a.txt"), "canary a").unwrap();
    std::fs::write(room.path().join("b.txt"), "canary b").unwrap();
    (room, path)
}

#[tokio::test]
async fn a_file_that_the_policy_names_can_be_read_and_no_other() {
    let (room, path) = policy("[tools.read_text]\nread = [\"a.txt\"]");
    let executor = Executor::start_with(
        &[("tools.py", TOOLS)],
        &["--policy", path.to_str().unwrap()],
    )
    .await;
    let file = |name: &str| format!(r#"{{"path":"{}"}}"#, room.path().join(name).display());
    let read = executor.call("read_text", &file("a.txt")).await;
    assert_eq!(
        (read.outcome.as_str(), read.result.as_str()),
        ("ok", "\"canary a\"")
    );
    let refused = error_of(&executor.call("read_text", &file("b.txt")).await);
    assert!(
        refused.contains("PermissionError") || refused.contains("FileNotFoundError"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_directory_that_may_be_written_is_the_hosts_own() {
    for level in ["full", "reduced"] {
        let text = "[tools.write_text]\nread = [\".\"]\nwrite = [\"out\"]";
        let (room, path) = policy(text);
        let out = room.path().join("out");
        std::fs::create_dir(&out).unwrap();
        // Whoever runs these tests: as root, tools are nobody.
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&out, all).unwrap();
        let flags = ["--policy", path.to_str().unwrap(), "--isolation", level];
        let executor = Executor::start_with(&[("tools.py", TOOLS)], &flags).await;
        let write = async |name: &str| {
            let path = room.path().join(name).display().to_string();
            let arguments = serde_json::json!({"path": path}).to_string();
            executor.call("write_text", &arguments).await
        };
        let written = write("out/b.txt").await;
        assert_eq!(written.result, "\"canary a\"", "{level}: {written:?}");
        let kept = std::fs::read_to_string(out.join("b.txt")).unwrap();
        assert_eq!(kept, "written");
        let refused = error_of(&write("b.txt").await);
        let read_only = refused.contains("Read-only") || refused.contains("PermissionError");
        assert!(read_only, "{level}: {refused}");
    }
}

#[tokio::test]
async fn each_tool_has_its_own_limits() {
    let (_room, path) = policy(
        "[default]\nwall_ms = 20000\n[tools.wait_for]\nwall_ms = 300\n[tools.print_letters]\noutput_kib = 2\n\
         [tools.take_mib]\nmemory_mib = 100",
    );
    let executor = Executor::start_with(
        &[("tools.py", TOOLS)],
        &["--policy", path.to_str().unwrap()],
    )
    .await;
    let waited = executor.call("wait_for", r#"{"seconds":10}"#).await;
    assert_eq!(waited.outcome, "timeout");
    assert!(waited.wall_us < 5_000_000, "{waited:?}");
    let printed = executor.call("print_letters", r#"{"count":5000}"#).await;
    assert_eq!((printed.stdout.len(), printed.truncated), (2048, true));
    let little = executor.call("take_mib", r#"{"count":50}"#).await;
    assert_eq!(little.outcome, "ok", "{little:?}");
    let much = executor.call("take_mib", r#"{"count":150}"#).await;
    assert_eq!(much.outcome, "memory", "{much:?}");
}

#[tokio::test]
async fn the_list_of_tools_says_what_each_runs_under() {
    let (_room, path) = policy("[tools.wait_for]\nwall_ms = 300\nnetwork = [\"a.b:1\"]");
    let flags = ["--policy", path.to_str().unwrap(), "--cpu-s", "3"];
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &flags).await;
    let tools = executor.list().await;
    let names: Vec<&str> = tools
        .details
        .iter()
        .map(|info| info.name.as_str())
        .collect();
    assert_eq!(
        names,
        tools
            .tools
            .iter()
            .map(|tool| tool.name.as_str())
            .collect::<Vec<_>>()
    );
    let waits = tools
        .details
        .iter()
        .find(|info| info.name == "wait_for")
        .unwrap();
    assert_eq!(waits.file, "tools.py");
    assert_eq!(
        waits.policy,
        r#"{"wall_ms":300,"cpu_s":3,"memory_mib":512,"scratch_mib":64,"output_kib":1024,"read":[],"write":[],"network":["a.b:1"],"environment":[],"approval":"ask"}"#
    );
}

#[tokio::test]
async fn a_flag_bounds_what_the_file_allows() {
    let (_room, path) = policy("[tools.wait_for]\nwall_ms = 60000");
    let flags = ["--policy", path.to_str().unwrap(), "--wall-ms", "300"];
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &flags).await;
    let waited = executor.call("wait_for", r#"{"seconds":3}"#).await;
    assert_eq!(waited.outcome, "timeout", "{waited:?}");
}

const ASKS: &str = r#"
@tool(network=["api.example.com:443"], wall_ms=9000)
def forecast(place: str) -> str:
    "Looks out."
    return place

@tool(wall_ms=200)
def hurry(place: str) -> str:
    "Has little time."
    import time
    time.sleep(3)
    return place
"#;

async fn policy_of(executor: &Executor, name: &str) -> serde_json::Value {
    let tools = executor.list().await;
    let info = tools.details.iter().find(|info| info.name == name).unwrap();
    serde_json::from_str(&info.policy).unwrap()
}

#[tokio::test]
async fn what_a_tool_asks_for_in_vain_is_said_at_the_start_with_the_lines_that_grant_it() {
    let (_room, path) = policy("[tools.forcast]\nwall_ms = 1");
    let mut executor = Executor::start_by(ASKS, |command| {
        command.arg("--policy").arg(&path).stderr(Stdio::piped());
    })
    .await;
    assert_eq!(
        policy_of(&executor, "forecast").await["network"],
        serde_json::json!([])
    );
    executor.process.kill().unwrap();
    let mut told = String::new();
    let mut stderr = executor.process.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    let words = "python-executor: forecast asks for more than its policy allows: wall_ms 9000, has 5000; \
        network [\"api.example.com:443\"], has []; to allow it, the policy file says:\n    [tools.forecast]\n    \
        wall_ms = 9000\n    network = [\"api.example.com:443\"]\n";
    assert!(told.contains(words), "{told}");
    assert!(
        told.contains("the policy file speaks of forcast, which is no tool here"),
        "{told}"
    );
}

#[tokio::test]
async fn declared_grants_are_given_where_that_was_asked_for_and_limits_are_not_raised() {
    let executor = Executor::start_with(&[("tools.py", ASKS)], &["--grant-declared"]).await;
    let policy = policy_of(&executor, "forecast").await;
    assert_eq!(
        policy["network"],
        serde_json::json!(["api.example.com:443"])
    );
    assert_eq!(policy["wall_ms"], 5000);
}

#[tokio::test]
async fn a_tool_can_give_itself_less_time() {
    let executor = Executor::start(ASKS).await;
    let hurried = executor.call("hurry", r#"{"place":"here"}"#).await;
    assert_eq!(hurried.outcome, "timeout", "{hurried:?}");
}

#[tokio::test]
async fn a_wrong_policy_file_is_told_with_its_line_and_nothing_serves() {
    let (_room, path) = policy("[tools.read_text]\nreed = [\"/tmp\"]");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_python-executor"))
        .arg("--policy")
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let words = "policy.toml:2: there is no key \"reed\"; did you mean read?\nfix: ";
    assert!(told.contains(words), "{told}");
}
