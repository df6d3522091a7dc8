//! Many calls, lost processes, cancelled calls, broken files: the executor goes on, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, call, children_of, end_of, error_of, gone, only_child};
use ipc::{
    client::Call,
    proto::{Code, Meta, frame::Body},
};

const TOOLS: &str = r#"
import time

@tool
def wait(seconds: float) -> float:
    """Wait."""
    print("waiting", flush=True)
    time.sleep(seconds)
    return seconds

@tool
def echo(text: str) -> str:
    """Echo."""
    return text
"#;

/// A call that runs for seconds, and has begun to.
async fn waiting_call(executor: &Executor) -> Call {
    let client = executor.client().await;
    let body = call("wait", r#"{"seconds":4}"#);
    let mut waiting = client.call(body, Meta::default()).await.unwrap();
    // What it prints is passed on before it ends.
    match waiting.next().await.unwrap().unwrap() {
        Body::Delta(delta) => assert!(delta.stdout.starts_with("waiting"), "{delta:?}"),
        other => panic!("{other:?}"),
    }
    waiting
}

/// No other children than the calls' own.
const NO_SPARES: [&str; 2] = ["--spares", "0"];

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_the_others_serve() {
    let files = [
        ("broken.py", "def f(:\n"),
        ("dies.py", "import os\nos._exit(3)\n"),
        (
            "echo.py",
            "@tool\ndef echo(text: str) -> str:\n    \"\"\"Echo.\"\"\"\n    return text\n",
        ),
        (
            "more.py",
            "@tool\ndef echo(text: str) -> str:\n    \"\"\"Echo again.\"\"\"\n    return text\n",
        ),
        ("raises.py", "raise RuntimeError('at import')\n"),
    ];
    let executor = Executor::start_with(&files, &[]).await;
    let tools = executor.list().await;
    assert_eq!(tools.tools.len(), 1);
    let problems: Vec<_> = tools
        .problems
        .iter()
        .map(|p| (p.file.as_str(), p.message.as_str()))
        .collect();
    let [broken, dies, more, raises] = problems.try_into().unwrap();
    assert!(
        broken.0 == "broken.py" && broken.1.contains("broken.py:2"),
        "{broken:?}"
    );
    assert!(
        dies.0 == "dies.py" && dies.1.contains("exited with status 3"),
        "{dies:?}"
    );
    assert!(
        more.0 == "more.py" && more.1.contains("exists already"),
        "{more:?}"
    );
    assert!(
        raises.0 == "raises.py" && raises.1.contains("at import"),
        "{raises:?}"
    );
}

#[tokio::test]
async fn twenty_calls_at_once_each_get_their_own_result() {
    let executor = Executor::start(TOOLS).await;
    let client = executor.client().await;
    let mut calls = Vec::new();
    for i in 0..20 {
        calls.push((
            i,
            client
                .call(
                    call("echo", &format!(r#"{{"text":"{i}"}}"#)),
                    Meta::default(),
                )
                .await
                .unwrap(),
        ));
    }
    for (i, mut call) in calls {
        let result = end_of(&mut call).await;
        assert_eq!(result.result, format!("\"{i}\""), "{result:?}");
    }
}

#[tokio::test]
async fn calls_wait_for_a_place_and_too_many_are_refused() {
    let flags = ["--max-calls", "1", "--queue", "1"];
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &flags).await;
    let client = executor.client().await;
    let start = async |seconds: &str| {
        let body = call("wait", &format!(r#"{{"seconds":{seconds}}}"#));
        client.call(body, Meta::default()).await.unwrap()
    };
    let mut first = start("4").await;
    assert!(matches!(
        first.next().await.unwrap().unwrap(),
        Body::Delta(_)
    ));
    let mut second = start("0").await;
    executor.waiting("1").await;
    let refused = executor
        .try_call("echo", r#"{"text":"x"}"#, Meta::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert!(refused.retry_after_ms > 0);
    // Whoever gives up while he waits makes room for another to wait.
    drop(second);
    executor.waiting("0").await;
    second = start("0").await;
    drop(first);
    assert_eq!(end_of(&mut second).await.outcome, "ok");
}

#[tokio::test]
async fn a_cancelled_call_is_gone_at_once() {
    let executor = Executor::start_by(TOOLS, |command| _ = command.args(NO_SPARES)).await;
    let waiting = waiting_call(&executor).await;
    let [zygote] = executor.zygotes().try_into().unwrap();
    let children = [only_child(zygote).await];
    drop(waiting);
    let since = Instant::now();
    gone(children[0]).await;
    assert!(since.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn the_requests_deadline_is_the_calls() {
    let executor = Executor::start(TOOLS).await;
    let meta = Meta {
        timeout_ms: 300,
        ..Meta::default()
    };
    let since = Instant::now();
    let ended = executor.try_call("wait", r#"{"seconds":4}"#, meta).await;
    assert!(since.elapsed() < Duration::from_secs(3));
    match ended {
        Ok(result) => assert_eq!(result.outcome, "timeout"),
        Err(status) => assert_eq!(status.code, Code::DeadlineExceeded),
    }
}

#[tokio::test]
async fn a_lost_zygote_costs_its_calls_only() {
    let executor = Executor::start(TOOLS).await;
    let mut waiting = waiting_call(&executor).await;
    let [zygote] = executor.zygotes().try_into().unwrap();
    let children = children_of(zygote as u32);
    let pid = rustix::process::Pid::from_raw(zygote).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let result = end_of(&mut waiting).await;
    assert_eq!(result.outcome, "zygote_lost");
    assert!(error_of(&result).contains("was lost"));
    for child in children {
        gone(child).await;
    }
    assert_eq!(
        executor.call("echo", r#"{"text":"again"}"#).await.result,
        "\"again\""
    );
}

/// A file that changes what our package says of its tools can spoil no question: what it says is no tool.
#[tokio::test]
async fn a_file_that_forges_its_description_is_named_and_the_others_serve() {
    let forged = |name: &str, parameters: &str| {
        format!(
            "from callspan import runtime\nruntime.json.dumps = lambda *a, **k: \
             '[{{\"name\":' + {name} + ',\"parameters\":{parameters}}}]'\n"
        )
    };
    let object = r#"{"type":"object"}"#;
    let files = [
        ("empty.py", forged(r#"'""'"#, object)),
        ("list.py", forged(r#"'"list"'"#, r#"{"type":"array"}"#)),
        ("long.py", forged(r#"'"' + 100000 * 'x' + '"'"#, object)),
        (
            "more.py",
            forged(
                r#"'"more"'"#,
                r#"{"type":"object","title":"' + 100000 * 'x' + '"}"#,
            ),
        ),
        ("tools.py", TOOLS.to_owned()),
    ];
    let files: Vec<_> = files.iter().map(|(n, text)| (*n, text.as_str())).collect();
    let executor = Executor::start_with(&files, &[]).await;
    let tools = executor.list().await;
    assert_eq!(tools.tools.len(), 2, "{:?}", tools.tools);
    let problems: Vec<_> = tools.problems.iter().map(|p| &p.message[..]).collect();
    let words = [
        "name that cannot be",
        "no object",
        "name that",
        "longer than",
    ];
    assert_eq!(problems.len(), words.len());
    for (problem, words) in problems.iter().zip(words) {
        assert!(problem.contains(words) && problem.len() < 300, "{problem}");
    }
}

#[tokio::test]
async fn a_killed_executor_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut executor = Executor::start_by(TOOLS, |command| {
        command.args(NO_SPARES).env("TMPDIR", temporary.path());
    })
    .await;
    let _waiting = waiting_call(&executor).await;
    // What a call writes is in memory, in a place that has no name outside.
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
    let watchers = children_of(executor.process.id());
    let zygotes = executor.zygotes();
    assert_eq!((watchers.len(), zygotes.len()), (1, 1));
    let child = only_child(zygotes[0]).await;
    executor.process.kill().unwrap();
    executor.process.wait().unwrap();
    for pid in watchers.into_iter().chain(zygotes).chain([child]) {
        gone(pid).await;
    }
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_killed_executor_leaves_nothing_of_a_reduced_sandbox() {
    let temporary = tempfile::tempdir().unwrap();
    let mut executor = Executor::start_by(TOOLS, |command| {
        command.args(NO_SPARES).env("TMPDIR", temporary.path());
        command.args(["--isolation", "reduced"]);
    })
    .await;
    let _waiting = waiting_call(&executor).await;
    let scratch = temporary.path().read_dir().unwrap().next().unwrap();
    assert_eq!(scratch.unwrap().path().read_dir().unwrap().count(), 1);
    let zygotes = children_of(executor.process.id());
    let children = children_of(zygotes[0] as u32);
    executor.process.kill().unwrap();
    executor.process.wait().unwrap();
    for pid in zygotes.into_iter().chain(children) {
        gone(pid).await;
    }
    assert_eq!(temporary.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_call_that_takes_long_gives_way_to_others() {
    let tools = "
import os, time
@tool
def niceness() -> int:
    \"\"\"Tell it after a while.\"\"\"
    time.sleep(0.3)
    return os.getpriority(os.PRIO_PROCESS, 0)
";
    let executor = Executor::start(tools).await;
    let result = executor.call("niceness", "{}").await;
    assert_eq!(result.result, "10", "{result:?}");
}
