//! The tools directory changes while the executor serves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, call, end_of};
use ipc::proto::Meta;

const FIRST: &str = r#"
import time

@tool
def version() -> int:
    """Which one."""
    return 1

@tool
def slow_version() -> int:
    """Which one, after a while."""
    time.sleep(1.5)
    return 1
"#;

fn write(executor: &Executor, name: &str, text: &str) {
    let path = executor.room.path().join("tools").join(name);
    std::fs::write(path, format!("from callspan import tool\n{text}")).unwrap();
}

/// Waits until the list of tools and problems is as wanted.
async fn until(
    executor: &Executor,
    wanted: impl Fn(&ipc::proto::Tools) -> bool,
) -> ipc::proto::Tools {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let tools = executor.list().await;
        if wanted(&tools) {
            return tools;
        }
        assert!(Instant::now() < deadline, "{tools:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_changed_file_is_used_at_once_and_calls_under_way_end_as_they_began() {
    let executor = Executor::start(FIRST).await;
    assert_eq!(executor.call("version", "{}").await.result, "1");
    let client = executor.client().await;
    let mut under_way = client
        .call(call("slow_version", "{}"), Meta::default())
        .await
        .unwrap();
    write(
        &executor,
        "tools.py",
        &FIRST
            .replace("return 1", "return 2")
            .replace("Which one.", "Which one it is."),
    );
    until(&executor, |tools| {
        tools.tools[0].description == "Which one it is."
    })
    .await;
    // No spare of the old version is left.
    for _ in 0..4 {
        assert_eq!(executor.call("version", "{}").await.result, "2");
    }
    assert_eq!(end_of(&mut under_way).await.result, "1");
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_version_and_says_so() {
    let executor = Executor::start(FIRST).await;
    assert_eq!(executor.list().await.tools.len(), 2);
    write(&executor, "tools.py", "def broken(:\n");
    let tools = until(&executor, |tools| !tools.problems.is_empty()).await;
    assert_eq!(tools.tools.len(), 2, "{tools:?}");
    let message = &tools.problems[0].message;
    assert!(
        message.contains("tools.py:2") && message.contains("last good version"),
        "{message}"
    );
    for _ in 0..4 {
        assert_eq!(executor.call("version", "{}").await.result, "1");
    }
    write(
        &executor,
        "tools.py",
        &FIRST.replace("return 1", "return 3"),
    );
    until(&executor, |tools| tools.problems.is_empty()).await;
    assert_eq!(executor.call("version", "{}").await.result, "3");
}

#[tokio::test]
async fn files_come_and_go() {
    let executor = Executor::start(FIRST).await;
    let more = "@tool\ndef more() -> str:\n    \"\"\"More.\"\"\"\n    return 'more'\n";
    write(&executor, "more.py", more);
    until(&executor, |tools| tools.tools.len() == 3).await;
    assert_eq!(executor.call("more", "{}").await.result, r#""more""#);
    std::fs::remove_file(executor.room.path().join("tools/more.py")).unwrap();
    until(&executor, |tools| tools.tools.len() == 2).await;
    let gone = executor.try_call("more", "{}", Meta::default()).await;
    assert_eq!(gone.unwrap_err().code, ipc::proto::Code::NotFound);
}

#[tokio::test]
async fn a_helper_that_changes_changes_who_imports_it() {
    let executor = Executor::start_with(
        &[
            ("_helper.py", "VALUE = 'old'\n"),
            (
                "tools.py",
                "from _helper import VALUE\n@tool\ndef value() -> str:\n    \"\"\"Value.\"\"\"\n    return VALUE\n",
            ),
        ],
        &[],
    )
    .await;
    assert_eq!(executor.call("value", "{}").await.result, r#""old""#);
    write(&executor, "_helper.py", "VALUE = 'new'\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    while executor.call("value", "{}").await.result != r#""new""# {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_no_plain_file_holds_nobody_up() {
    let executor = Executor::start(FIRST).await;
    let pipe = executor.room.path().join("tools/pipe.py");
    let path = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: the path is a C string that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let begun = Instant::now();
    let tools = until(&executor, |tools| !tools.problems.is_empty()).await;
    assert!(
        tools.problems[0].message.contains("plain file"),
        "{tools:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(executor.call("version", "{}").await.result, "1");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_stays_told_and_a_name_that_becomes_free_is_taken() {
    let more = "@tool\ndef more() -> str:\n    \"\"\"More.\"\"\"\n    return 'b'\n";
    let twice = format!("@tool\ndef own() -> int:\n    \"\"\"Own.\"\"\"\n    return 1\n{more}");
    let executor = Executor::start_with(
        &[("a.py", &more.replace("'b'", "'a'")), ("b.py", &twice)],
        &[],
    )
    .await;
    assert_eq!(executor.list().await.problems.len(), 1);
    write(&executor, "c.py", &more.replace("more", "third"));
    let tools = until(&executor, |tools| tools.tools.len() == 3).await;
    assert_eq!(tools.problems.len(), 1, "{tools:?}");
    std::fs::remove_file(executor.room.path().join("tools/a.py")).unwrap();
    until(&executor, |tools| tools.problems.is_empty()).await;
    assert_eq!(executor.call("more", "{}").await.result, r#""b""#);
}
