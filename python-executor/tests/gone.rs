//! How soon the processes of a call are gone when it is cancelled or its time is up. The bound is that of the
//! specification; the median of some calls is held against it, because a test shares its machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, call, children_of, end_of, gone};
use ipc::{
    client::Call,
    proto::{Meta, frame::Body},
};

const BOUND: Duration = Duration::from_millis(50);
const TIMES: usize = 5;
const NANNY_AND_ZYGOTE: usize = 2;

const TOOLS: &str = r#"
import subprocess
import threading
import time

@tool(wall_ms=300)
def late() -> None:
    """Do not come to an end, on several threads."""
    for _ in range(8):
        threading.Thread(target=time.sleep, args=(30,)).start()
    print("began", flush=True)
    while True:
        pass

@tool
def threads() -> None:
    """Wait, on several threads."""
    for _ in range(8):
        threading.Thread(target=time.sleep, args=(30,)).start()
    print("began", flush=True)
    time.sleep(30)

@tool
def programs() -> None:
    """Wait for programs."""
    running = [subprocess.Popen(["/usr/bin/sleep", "30"]) for _ in range(4)]
    print("began", flush=True)
    for one in running:
        one.wait()
"#;

/// All processes below one.
fn below(pid: i32) -> Vec<i32> {
    let children = children_of(pid as u32);
    let deeper = children.iter().flat_map(|child| below(*child));
    deeper.chain(children.iter().copied()).collect()
}

/// What there is below the executor when nothing runs: as many as that, nannies included.
async fn idle(executor: &Executor, zygotes: usize) -> Vec<i32> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let there = below(executor.process.id() as i32);
        if there.len() == zygotes {
            return there;
        }
        assert!(Instant::now() < deadline, "{there:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A call that has begun, and all that it runs: what is there now and was not there when nothing ran.
async fn begun(executor: &Executor, tool: &str, before: &[i32]) -> (Call, Vec<i32>) {
    let client = executor.client().await;
    let mut waiting = client
        .call(call(tool, "{}"), Meta::default())
        .await
        .unwrap();
    match waiting.next().await.unwrap().unwrap() {
        Body::Delta(delta) => assert!(delta.stdout.starts_with("began"), "{delta:?}"),
        other => panic!("{other:?}"),
    }
    let mut processes = below(executor.process.id() as i32);
    processes.retain(|pid| !before.contains(pid));
    (waiting, processes)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    let middle = times.len() / 2;
    times.remove(middle)
}

/// How long the processes of a cancelled call live on.
async fn after_cancelling(flags: &[&str], zygotes: usize, tool: &str, expected: usize) -> Duration {
    let executor = Executor::start_with(
        &[("tools.py", TOOLS)],
        &[&["--spares", "0"], flags].concat(),
    )
    .await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let before = idle(&executor, zygotes).await;
        let (waiting, processes) = begun(&executor, tool, &before).await;
        assert_eq!(processes.len(), expected, "{processes:?}");
        let since = Instant::now();
        drop(waiting);
        for pid in processes {
            gone(pid).await;
        }
        times.push(since.elapsed());
    }
    median(times)
}

#[tokio::test]
async fn a_cancelled_call_and_its_threads_are_gone_within_50_ms() {
    let took = after_cancelling(&[], NANNY_AND_ZYGOTE, "threads", 1).await;
    assert!(took <= BOUND, "{took:?}");
}

#[tokio::test]
async fn programs_that_an_unconfined_tool_started_are_gone_with_it() {
    let took = after_cancelling(&["--isolation", "none"], 1, "programs", 5).await;
    assert!(took <= BOUND, "{took:?}");
}

#[tokio::test]
async fn a_call_that_is_late_is_gone_within_50_ms_of_its_limit_and_before_its_answer() {
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &["--spares", "0"]).await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let before = idle(&executor, NANNY_AND_ZYGOTE).await;
        let (mut late, processes) = begun(&executor, "late", &before).await;
        let result = end_of(&mut late).await;
        assert_eq!(result.outcome, "timeout");
        for pid in processes {
            let alive = std::fs::exists(format!("/proc/{pid}/exe")).unwrap();
            assert!(!alive, "process {pid} outlived its answer");
        }
        times.push(
            Duration::from_micros(result.wall_us.into()).saturating_sub(Duration::from_millis(300)),
        );
    }
    let took = median(times);
    assert!(took <= BOUND, "{took:?}");
}
