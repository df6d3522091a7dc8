//! Snippets that a model wrote: the tools are functions in them, and every call of one is somebody's to decide.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::time::{Duration, Instant};

use common::{Executor, ended, error_of};
use ipc::{
    Status,
    client::Client,
    proto::{Code, Meta, RunCode, ToolDecision, ToolResult, frame::Body},
};

const TOOLS: &str = r#"
import time

@tool(approval="auto")
def double(number: int) -> int:
    """Twice the number."""
    print("doubling")
    return 2 * number

@tool
def secret() -> str:
    """What only somebody may allow."""
    return "told"

@tool(approval="auto")
def broken() -> str:
    """Fail."""
    raise ValueError("it broke")

@tool(approval="auto")
def slow(seconds: float) -> str:
    """Take long."""
    time.sleep(seconds)
    return "done"
"#;

/// Under a policy by which all but `secret` run unasked.
async fn start(arguments: &[&str]) -> Executor {
    Executor::start_by(TOOLS, |command| {
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/auto.toml");
        command.args(["--policy", policy]).args(arguments);
    })
    .await
}

fn code(text: &str) -> RunCode {
    RunCode {
        code: text.to_owned(),
        ..RunCode::default()
    }
}

async fn try_run(client: &Client, code: RunCode) -> Result<ToolResult, Status> {
    let call = client.call(Body::RunCode(code), Meta::default()).await;
    ended(&mut call.unwrap()).await
}

async fn run(executor: &Executor, text: &str) -> ToolResult {
    let client = executor.client().await;
    try_run(&client, code(text)).await.unwrap()
}

#[tokio::test]
async fn a_snippet_gives_the_value_of_its_last_expression_and_what_it_printed() {
    let executor = start(&[]).await;
    let result = run(
        &executor,
        "total = sum(range(10))\nprint('hello')\ntotal + 1",
    )
    .await;
    assert_eq!(
        (
            result.outcome.as_str(),
            result.result.as_str(),
            result.stdout.as_str()
        ),
        ("ok", "46", "hello\n"),
        "{result:?}"
    );
    assert_eq!(result.name, "run_code");
    assert_eq!(run(&executor, "x = 1").await.result, "null");
    assert_eq!(run(&executor, "").await.result, "null");
}

#[tokio::test]
async fn a_failure_is_told_by_the_snippets_own_lines() {
    let executor = start(&[]).await;
    let result = run(&executor, "def half(n):\n    return 1 / n\n\nhalf(0)").await;
    let error = result.error.clone().unwrap();
    assert_eq!(
        (result.outcome.as_str(), error.r#type.as_str()),
        ("exception", "ZeroDivisionError")
    );
    assert!(
        error.traceback.contains("<snippet>:4"),
        "{}",
        error.traceback
    );
    assert!(
        error.traceback.contains("<snippet>:2"),
        "{}",
        error.traceback
    );
    assert!(!error.traceback.contains("callspan"), "{}", error.traceback);
    let result = run(&executor, "a = 1\nb = = 2").await;
    assert!(error_of(&result).starts_with("SyntaxError"), "{result:?}");
}

#[tokio::test]
async fn tools_are_functions_and_who_is_not_asked_has_those_that_run_unasked() {
    let executor = start(&[]).await;
    let result = run(&executor, "double(number=21), double(4)").await;
    assert_eq!(result.result, "[42,8]", "{result:?}");
    let result = run(&executor, "secret()").await;
    let error = error_of(&result);
    assert!(
        error.starts_with("PermissionError") && error.contains("approval"),
        "{error}"
    );
    let caught = "try:\n    broken()\nexcept Exception as error:\n    said = str(error)\nsaid";
    assert!(run(&executor, caught).await.result.contains("it broke"));
    let result = run(&executor, "double(number='many')").await;
    assert!(error_of(&result).contains("many"), "{result:?}");
}

#[tokio::test]
async fn a_client_that_decides_is_asked_about_every_call() {
    let executor = start(&[]).await;
    let client = executor.client().await;
    let mut asks = client.asks();
    let deciding = tokio::spawn(async move {
        let mut asked = Vec::new();
        while let Some(ask) = asks.recv().await {
            let call = ask.request.call.clone().unwrap();
            asked.push(format!("{}({})", call.name, call.arguments));
            let (verdict, result, reason) = match call.name.as_str() {
                "secret" => ("allow", "", ""),
                "double" => ("result", "1000", ""),
                _ => ("deny", "", "not today"),
            };
            ask.decide(ToolDecision {
                verdict: verdict.to_owned(),
                result: result.to_owned(),
                reason: reason.to_owned(),
            });
            if asked.len() == 3 {
                return asked;
            }
        }
        asked
    });
    let text = "try:\n    broken()\nexcept PermissionError as error:\n    said = str(error)\n[secret(), double(number=2), said]";
    let decides = RunCode {
        decides: true,
        ..code(text)
    };
    // The order of the snippet: broken, secret, double.
    let result = try_run(&client, decides).await.unwrap();
    assert_eq!(result.outcome, "ok", "{result:?}");
    assert!(
        result.result.starts_with(r#"["told",1000,"#),
        "{}",
        result.result
    );
    assert!(result.result.contains("not today"), "{}", result.result);
    let asked = deciding.await.unwrap();
    assert_eq!(
        asked,
        ["broken({})", "secret({})", r#"double({"number":2})"#]
    );
}

#[tokio::test]
async fn waiting_for_a_decision_or_a_tool_does_not_count_as_the_snippets_time() {
    let executor = start(&["--wall-ms", "1000"]).await;
    let text = "[slow(seconds=0.6), slow(seconds=0.6), slow(seconds=0.6)]";
    let result = run(&executor, text).await;
    assert_eq!(result.outcome, "ok", "{result:?}");
    let result = run(&executor, "while True: pass").await;
    assert_eq!(result.outcome, "timeout", "{result:?}");
}

#[tokio::test]
async fn a_session_keeps_what_its_snippets_define_until_it_ends() {
    let executor = start(&[]).await;
    let client = executor.client().await;
    let session = |id: &str, text: &str, end_session: bool| RunCode {
        session: id.to_owned(),
        end_session,
        ..code(text)
    };
    let first = try_run(&client, session("new", "x = 20", false))
        .await
        .unwrap();
    let id = first.session;
    assert_eq!(id.len(), 16);
    // A failure does not end it.
    let failed = try_run(&client, session(&id, "y = 22\nundefined", false))
        .await
        .unwrap();
    assert_eq!(
        (failed.outcome.as_str(), failed.session.as_str()),
        ("exception", id.as_str())
    );
    let second = try_run(
        &client,
        session(&id, "print(x)\ndouble(number=x) + y", false),
    )
    .await
    .unwrap();
    assert_eq!(
        (
            second.result.as_str(),
            second.stdout.as_str(),
            second.start.as_str()
        ),
        ("62", "20\n", "session")
    );
    let last = try_run(&client, session(&id, "x", true)).await.unwrap();
    assert_eq!(last.result, "20");
    let gone = try_run(&client, session(&id, "x", false))
        .await
        .unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    // What one session defines no other sees.
    let other = try_run(&client, session("new", "x", false)).await.unwrap();
    assert!(error_of(&other).starts_with("NameError"));
}

#[tokio::test]
async fn sessions_are_bounded_and_one_that_dies_is_gone() {
    let executor = start(&["--sessions", "2", "--wall-ms", "1000"]).await;
    let client = executor.client().await;
    let new = |text: &str| RunCode {
        session: "new".to_owned(),
        ..code(text)
    };
    let first = try_run(&client, new("1")).await.unwrap().session;
    try_run(&client, new("1")).await.unwrap();
    let refused = try_run(&client, new("1")).await.unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    let hangs = RunCode {
        session: first.clone(),
        ..code("while True: pass")
    };
    assert_eq!(try_run(&client, hangs).await.unwrap().outcome, "timeout");
    let dead = RunCode {
        session: first,
        ..code("1")
    };
    assert_eq!(
        try_run(&client, dead).await.unwrap_err().code,
        Code::NotFound
    );
    assert_eq!(try_run(&client, new("1")).await.unwrap().outcome, "ok");
}

#[tokio::test]
async fn a_cancelled_snippet_and_the_tool_that_it_calls_are_gone_at_once() {
    let executor = start(&["--spares", "0"]).await;
    let client = executor.client().await;
    let body = Body::RunCode(code("slow(seconds=4)"));
    let call = client.call(body, Meta::default()).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let zygote = common::forking(&executor)[0];
    while common::children_of(zygote as u32).len() < 2 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(call);
    let since = Instant::now();
    while !common::children_of(zygote as u32).is_empty() {
        assert!(
            since.elapsed() < Duration::from_secs(2),
            "{:?}",
            since.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_snippet_is_as_confined_as_a_tool() {
    let executor = start(&[]).await;
    for text in [
        "open('/etc/passwd').read()",
        "import os; os.fork()",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['/usr/bin/true'])",
    ] {
        let result = run(&executor, text).await;
        let error = error_of(&result);
        assert!(
            error.starts_with("PermissionError") || error.starts_with("FileNotFoundError"),
            "{text}: {result:?}"
        );
    }
}
