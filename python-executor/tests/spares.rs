//! Children that were made ahead: each is used once, there are enough of them and not too many, and losing them or
//! their zygote costs nobody a call.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, call, end_of};
use ipc::proto::{Health, Meta, frame::Body};

const COUNTER: &str = r#"
import os, time
seen = []

@tool
def count() -> int:
    """Count the calls that this process has seen."""
    seen.append(1)
    return len(seen)

@tool
def rest(seconds: float) -> str:
    """Sleep."""
    time.sleep(seconds)
    return "rested"
"#;

async fn spares(executor: &Executor) -> String {
    let client = executor.client().await;
    let mut health = client
        .call(Body::Health(Health::default()), Meta::default())
        .await
        .unwrap();
    match health.next().await.unwrap().unwrap() {
        Body::HealthReport(report) => report.details["spares"].clone(),
        other => panic!("{other:?}"),
    }
}

async fn until_spares(executor: &Executor, number: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while spares(executor).await != number {
        assert!(Instant::now() < deadline, "{}", spares(executor).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the kernel has ended the children of a lost zygote.
async fn until_spares_are_gone(executor: &Executor) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !common::descendants(executor.process.id()).is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_call_is_served_by_a_spare_that_is_used_once_and_made_again() {
    // The file's two, and the snippets' two.
    let executor = Executor::start(COUNTER).await;
    for _ in 0..5 {
        until_spares(&executor, "4").await;
        let result = executor.call("count", "{}").await;
        assert_eq!(
            (result.outcome.as_str(), result.result.as_str()),
            ("ok", "1")
        );
        assert_eq!(result.start, "spare", "{result:?}");
    }
}

#[tokio::test]
async fn without_spares_each_call_is_forked_for() {
    let executor = Executor::start_by(COUNTER, |command| {
        command.args(["--spares", "0"]);
    })
    .await;
    for _ in 0..3 {
        let result = executor.call("count", "{}").await;
        assert_eq!(
            (result.result.as_str(), result.start.as_str()),
            ("1", "fork")
        );
    }
    assert_eq!(spares(&executor).await, "0");
}

#[tokio::test]
async fn more_calls_at_once_than_spares_are_all_served() {
    let executor = Executor::start(COUNTER).await;
    until_spares(&executor, "4").await;
    let client = executor.client().await;
    let mut calls = Vec::new();
    for _ in 0..8 {
        let body = call("rest", r#"{"seconds": 0.3}"#);
        calls.push(client.call(body, Meta::default()).await.unwrap());
    }
    let mut starts = Vec::new();
    for call in &mut calls {
        let result = end_of(call).await;
        assert_eq!(result.outcome, "ok", "{result:?}");
        starts.push(result.start);
    }
    assert!(starts.iter().any(|start| start == "spare"), "{starts:?}");
    assert!(starts.iter().any(|start| start == "fork"), "{starts:?}");
}

#[tokio::test]
async fn the_number_of_all_spares_is_bounded_and_who_calls_has_them() {
    let other = COUNTER
        .replace("count()", "count_too()")
        .replace("rest(", "rest_too(");
    let executor = Executor::start_with(
        &[("a.py", COUNTER), ("b.py", &other)],
        &["--spares", "2", "--max-spares", "3"],
    )
    .await;
    until_spares(&executor, "3").await;
    for _ in 0..3 {
        assert_eq!(executor.call("count_too", "{}").await.outcome, "ok");
        until_spares(&executor, "3").await;
    }
    let result = executor.call("count_too", "{}").await;
    assert_eq!(result.start, "spare", "{result:?}");
}

#[tokio::test]
async fn a_file_that_begins_threads_has_no_spares() {
    let threads = r#"
import threading, time
threading.Thread(target=lambda: time.sleep(60), daemon=True).start()

@tool
def greet() -> str:
    """Greet."""
    return "hello"
"#;
    let executor = Executor::start(threads).await;
    let result = executor.call("greet", "{}").await;
    assert_eq!(
        (result.outcome.as_str(), result.start.as_str()),
        ("ok", "fork")
    );
    // Only the snippets' two.
    until_spares(&executor, "2").await;
}

#[tokio::test]
async fn what_is_printed_at_import_belongs_to_the_call() {
    let executor = Executor::start("print('imported')\n".to_owned().as_str()).await;
    assert!(executor.list().await.tools.is_empty());
    let executor = Executor::start(
        r#"
print("imported")

@tool
def greet() -> str:
    """Greet."""
    print("called")
    return "hello"
"#,
    )
    .await;
    until_spares(&executor, "4").await;
    let result = executor.call("greet", "{}").await;
    assert_eq!(result.start, "spare");
    assert_eq!(result.stdout, "imported\ncalled\n");
}

#[tokio::test]
async fn killed_spares_cost_no_call() {
    let executor = Executor::start(COUNTER).await;
    until_spares(&executor, "4").await;
    for zygote in executor.zygotes() {
        // SAFETY: sends a signal to a child of the test's own executor.
        unsafe { libc::kill(zygote, libc::SIGKILL) };
        common::gone(zygote).await;
    }
    until_spares_are_gone(&executor).await;
    let result = executor.call("count", "{}").await;
    assert_eq!(result.outcome, "ok", "{result:?}");
    until_spares(&executor, "4").await;
}

#[tokio::test]
async fn a_stuck_zygote_costs_no_call_and_those_under_way_go_on() {
    let executor = Executor::start_by(COUNTER, |command| {
        command.args(["--spares", "0"]);
    })
    .await;
    let client = executor.client().await;
    let body = call("rest", r#"{"seconds": 2}"#);
    let mut under_way = client.call(body, Meta::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stopped = common::forking(&executor);
    for zygote in &stopped {
        // SAFETY: stops a process of the test's own executor.
        unsafe { libc::kill(*zygote, libc::SIGSTOP) };
    }
    let begun = Instant::now();
    let result = executor.call("count", "{}").await;
    assert_eq!(
        (result.outcome.as_str(), result.result.as_str()),
        ("ok", "1")
    );
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let result = end_of(&mut under_way).await;
    assert_eq!(result.result, r#""rested""#, "{result:?}");
    // With its last call gone it is killed.
    for zygote in stopped {
        common::gone(zygote).await;
    }
}

#[tokio::test]
async fn spares_come_back_however_often_a_zygote_is_lost() {
    let executor = Executor::start(COUNTER).await;
    for _ in 0..3 {
        until_spares(&executor, "4").await;
        let [zygote] = executor.zygotes().try_into().unwrap();
        let pid = rustix::process::Pid::from_raw(zygote).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        until_spares_are_gone(&executor).await;
        assert_eq!(executor.call("count", "{}").await.outcome, "ok");
        let client = executor.client().await;
        let code = ipc::proto::RunCode {
            code: "1".to_owned(),
            ..ipc::proto::RunCode::default()
        };
        let call = client.call(Body::RunCode(code), Meta::default()).await;
        assert_eq!(end_of(&mut call.unwrap()).await.outcome, "ok");
    }
    until_spares(&executor, "4").await;
}
