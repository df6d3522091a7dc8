//! MCP servers of others that hang, die, talk rubbish or leave things behind: whatever they do costs themselves only.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{
    Executor, call, descendants, end_of, error_of, gone,
    mounting::{has, mounted, mounted_with, problems, server, until, value},
};
use ipc::proto::Meta;
use serde_json::json;

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_a_server_that_does_not_answer_then_is_started_again()
 {
    let (executor, _room) = mounted_with("[mcp.good]\nwall_ms = 1500\n", &[]).await;
    let waited = executor.call("good__wait", "{}").await;
    assert_eq!(
        error_of(&waited),
        "timeout: the call was given up when its time was up"
    );
    assert_eq!(executor.call("good__hang", "{}").await.outcome, "timeout");
    let tools = until(&executor, |tools| !tools.problems.is_empty()).await;
    let why = "mcp:good it was stopped: it did not answer when a call's time was up; it is started again after";
    assert!(problems(&tools)[0].starts_with(why), "{tools:?}");
    // Its tools stay, and so does what a model was told of them.
    assert!(has(&tools, "good__add"));
    until(&executor, |tools| tools.problems.is_empty()).await;
    assert_eq!(
        value(&executor, "add", json!({"a": 1, "b": 1})).await["sum"],
        2
    );
}

#[tokio::test]
async fn a_server_that_dies_ends_its_calls_by_name_and_is_started_again_after_growing_pauses() {
    let executor = mounted(&[]).await;
    let client = executor.client().await;
    let mut waiting = client
        .call(call("good__wait", "{}"), Meta::default())
        .await
        .unwrap();
    waiting.next().await.unwrap().unwrap();
    let died = executor.call("good__die", "{}").await;
    assert!(
        error_of(&died).starts_with("server_lost: the server good is lost: "),
        "{died:?}"
    );
    assert_eq!(end_of(&mut waiting).await.outcome, "server_lost");
    let tools = until(&executor, |tools| !tools.problems.is_empty()).await;
    assert_eq!(
        problems(&tools),
        ["mcp:good it ended with exit status: 7: I give up; it is started again after 500ms"]
    );
    until(&executor, |tools| tools.problems.is_empty()).await;
    assert_eq!(
        executor.call("good__die", "{}").await.outcome,
        "server_lost"
    );
    let tools = until(&executor, |tools| !tools.problems.is_empty()).await;
    assert!(
        problems(&tools)[0].ends_with("it is started again after 1s"),
        "{tools:?}"
    );
}

#[tokio::test]
async fn a_server_that_uses_too_much_processor_time_in_a_call_is_stopped() {
    let (executor, _room) = mounted_with("[mcp.good]\ncpu_s = 1\n", &[]).await;
    let spun = executor.call("good__spin", "{}").await;
    assert_eq!(
        error_of(&spun),
        "cpu_limit: the server used more than 1s of processor time"
    );
    until(&executor, |tools| tools.problems.is_empty()).await;
}

#[tokio::test]
async fn rubbish_on_its_output_is_a_problem_and_an_answer_without_end_too() {
    let executor = mounted(&[]).await;
    assert_eq!(value(&executor, "rubbish", json!({})).await, "said");
    let tools = executor.list().await;
    let why =
        "mcp:good it writes what is no message to its standard output: \"Welcome to my server!\"";
    assert_eq!(problems(&tools), [why]);
    // A line of 20 MiB is read to its end and kept nowhere: the call has no answer, and its time runs out.
    let (executor, _room) = mounted_with("[mcp.good]\nwall_ms = 3000\n", &[]).await;
    assert_eq!(
        executor.call("good__huge", r#"{"a":20}"#).await.outcome,
        "timeout"
    );
    assert_eq!(
        value(&executor, "add", json!({"a": 1, "b": 1})).await["sum"],
        2
    );
}

#[tokio::test]
async fn servers_that_never_come_up_are_problems_with_their_names_and_all_else_serves() {
    let policy = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(policy.path(), "[mcp.silent]\nwall_ms = 1000\n").unwrap();
    let modes = ["silent", "rubbish", "brief", "names"].map(|mode| server(mode, mode));
    let mut arguments = vec!["--policy", policy.path().to_str().unwrap()];
    for server in &modes {
        arguments.extend(["--mcp-server", server]);
    }
    arguments.extend(["--mcp-server", "none=/no/such/program"]);
    let ours = "@tool\ndef names__good() -> int:\n    \"One.\"\n    return 1\n";
    let executor = Executor::start_with(&[("tools.py", ours)], &arguments).await;
    let tools = executor.list().await;
    let problems = problems(&tools);
    for said in [
        "mcp:silent it was stopped: it said nothing of itself within 1s; it is started again after",
        "mcp:rubbish it writes what is no message to its standard output: \"rubbish\"",
        "mcp:brief it ended with exit status: 1: there is no configuration; it is started again after",
        "mcp:none the command /no/such/program: No such file or directory",
        "mcp:names the tool names__good exists already in tools.py",
        "mcp:names a tool has a name that cannot be: \"names__two words\"",
        "mcp:names the parameters of names__list are no object",
        "mcp:names a tool has a name that cannot be: \"names__nnn",
    ] {
        assert!(
            problems.iter().any(|one| one.starts_with(said)),
            "{said}: {problems:#?}"
        );
    }
    assert!(has(&tools, "names__fine"));
    assert_eq!(executor.call("names__good", "{}").await.result, "1");
}

/// What the server started and left: a process of a session of its own.
async fn left_behind(executor: &Executor) -> i32 {
    value(executor, "leave", json!({})).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut all = descendants(executor.process.id()).into_iter();
        let named = |pid: &i32| {
            // While it becomes the program that it is to be, it has no line.
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.contains("left-behind"))
        };
        if let Some(pid) = all.find(named) {
            return pid;
        }
        assert!(Instant::now() < deadline, "it is not there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_of_a_server_is_left_when_it_or_the_executor_ends() {
    for level in ["full", "reduced", "none"] {
        let mut executor = mounted(&["--isolation", level]).await;
        let told = executor.call("good__where", "{}").await.isolation.unwrap();
        assert_eq!(told.level, level);
        let left = left_behind(&executor).await;
        executor.call("good__die", "{}").await;
        gone(left).await;
        until(&executor, |tools| !tools.problems.is_empty()).await;
        until(&executor, |tools| tools.problems.is_empty()).await;
        let left = left_behind(&executor).await;
        executor.process.kill().unwrap();
        executor.process.wait().unwrap();
        gone(left).await;
        let mut executor = mounted(&["--isolation", level]).await;
        left_behind(&executor).await;
        let below = descendants(executor.process.id());
        let pid = rustix::process::Pid::from_raw(executor.process.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(executor.process.wait().unwrap().success());
        for process in below {
            gone(process).await;
        }
    }
}
