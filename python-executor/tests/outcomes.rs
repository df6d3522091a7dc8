//! How a call can end: each ending has its name, and the executor lives.

mod common;

use common::{Executor, error_of};
use ipc::proto::{Code, Meta};

const TOOLS: &str = r#"
import ctypes, os, resource, sys, threading, time

@tool
def add(a: int, b: float = 0.5) -> float:
    """Add."""
    print("adding", a)
    print("warned", file=sys.stderr)
    return a + b

@tool
def fail(how: str) -> str:
    """End in some way."""
    if how == "raise":
        raise ValueError("no such thing")
    if how == "hang":
        time.sleep(60)
    if how == "exit":
        sys.exit(3)
    if how == "_exit":
        os._exit(4)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "recursion":
        return fail_again()
    if how == "memory":
        return len(bytearray(900 << 20))
    if how == "spin":
        while True:
            pass
    if how == "nan":
        return float("nan")
    if how == "huge":
        return "x" * (10 << 20)
    if how == "flood":
        for _ in range(300):
            print("y" * 10_000)
        return "flooded"
    if how == "forge":
        os.write(3, b'{"Ok":"\\"forged\\""}')
        return "honest"
    if how == "forge and end":
        os.write(3, b'{"Ok":"\\"forged\\""}')
        os._exit(0)
    if how.startswith("patch "):
        from callspan import runtime
        runtime.encode = {
            "patch text": lambda *given: "no JSON",
            "patch size": lambda *given: '"' + "x" * (2 << 20) + '"',
        }[how]
        return "honest"
    if how == "patch":
        from callspan import runtime
        runtime.failure = lambda error: runtime.ToolFailure("E", "x" * (2 << 20))
        raise ValueError
    if how == "file":
        with open("big", "wb") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
    if how == "thread":
        threading.Thread(target=time.sleep, args=(60,)).start()
        return "done"
    if how == "bytes":
        os.write(1, b"\xff\xfe ok\n")
        return "done"
    return "?"

def fail_again():
    return fail_again()
"#;

async fn ends(how: &str, arguments: &[&str]) -> ipc::proto::ToolResult {
    let executor = Executor::start_with(&[("tools.py", TOOLS)], arguments).await;
    let result = executor
        .call("fail", &format!(r#"{{"how":"{how}"}}"#))
        .await;
    let after = executor.call("add", r#"{"a":1}"#).await;
    assert_eq!(
        (after.outcome.as_str(), after.result.as_str()),
        ("ok", "1.5"),
        "the executor lives after {how}"
    );
    result
}

#[tokio::test]
async fn a_call_gives_its_result_and_what_it_printed() {
    let executor = Executor::start(TOOLS).await;
    let result = executor.call("add", r#"{"a":2,"b":0.25}"#).await;
    assert_eq!(
        (result.outcome.as_str(), result.result.as_str()),
        ("ok", "2.25"),
        "{result:?}"
    );
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("adding 2\n", "warned\n")
    );
    assert!(result.wall_us > 0 && result.cpu_us > 0 && result.max_rss_kib > 0);
    let isolation = result.isolation.unwrap();
    assert_eq!(isolation.level, "full");
    assert!(isolation.active.iter().any(|word| word == "landlock"));
}

#[tokio::test]
async fn arguments_are_checked_before_anything_runs() {
    let executor = Executor::start(TOOLS).await;
    for (arguments, words) in [
        (r#"{"a":"two"}"#, "/a"),
        ("{}", "\"a\" is a required property"),
        (r#"{"a":1,"c":2}"#, "'c'"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
    ] {
        let result = executor.call("add", arguments).await;
        assert_eq!(result.outcome, "invalid_arguments");
        assert!(
            error_of(&result).contains(words),
            "{arguments}: {}",
            error_of(&result)
        );
        assert_eq!(result.wall_us, 0, "nothing ran");
    }
    let long = executor
        .call("add", &format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000)))
        .await;
    assert!(
        error_of(&long).len() < 2100,
        "what is wrong is told in short"
    );
    let status = executor
        .try_call("subtract", "{}", Meta::default())
        .await
        .unwrap_err();
    assert_eq!(status.code, Code::NotFound);
    assert!(
        status.message.contains("subtract") && status.message.contains("add, fail"),
        "{status}"
    );
}

#[tokio::test]
async fn an_exception_is_told_with_its_place() {
    let result = ends("raise", &[]).await;
    assert_eq!(result.outcome, "exception");
    assert_eq!(error_of(&result), "ValueError: no such thing");
    assert!(result.error.unwrap().traceback.contains("tools.py:"));
}

#[tokio::test]
async fn a_hang_is_stopped_at_the_wall_limit() {
    let result = ends("hang", &["--wall-ms", "400"]).await;
    assert_eq!(result.outcome, "timeout");
    assert!(
        (400_000..1_400_000).contains(&result.wall_us),
        "{}",
        result.wall_us
    );
}

#[tokio::test]
async fn endless_work_is_stopped_at_the_processor_limit() {
    let result = ends("spin", &["--cpu-s", "1", "--wall-ms", "20000"]).await;
    assert_eq!(result.outcome, "cpu_limit", "{result:?}");
}

#[tokio::test]
async fn a_thread_that_outlives_the_call_keeps_nobody() {
    let result = ends("thread", &[]).await;
    assert_eq!(result.outcome, "ok");
    assert!(result.wall_us < 3_000_000);
}

#[tokio::test]
async fn each_way_to_die_has_its_name() {
    for (how, outcome, words) in [
        ("exit", "exited", "SystemExit"),
        ("_exit", "exited", "status 4"),
        ("segfault", "crashed", "signal 11"),
        ("recursion", "exception", "RecursionError"),
        ("memory", "memory", "more than 512 MiB"),
        ("file", "exception", "too large"),
        ("nan", "bad_result", ""),
        ("huge", "bad_result", ""),
    ] {
        let result = ends(how, &[]).await;
        assert_eq!(result.outcome, outcome, "{how}: {result:?}");
        assert!(
            error_of(&result).contains(words),
            "{how}: {}",
            error_of(&result)
        );
    }
}

#[tokio::test]
async fn a_result_cannot_be_forged() {
    for how in ["forge", "forge and end"] {
        let result = ends(how, &[]).await;
        assert_eq!(result.outcome, "protocol", "{how}: {result:?}");
        assert!(result.result.is_empty());
    }
}

#[tokio::test]
async fn a_tool_that_changes_our_code_around_it_gives_no_rubbish() {
    for (how, words) in [("patch text", "not JSON"), ("patch size", "larger than")] {
        let result = ends(how, &[]).await;
        assert_eq!(result.outcome, "bad_result", "{how}");
        assert!(error_of(&result).contains(words), "{}", error_of(&result));
    }
    let result = ends("patch", &[]).await;
    assert_eq!(result.outcome, "exception");
    assert!(error_of(&result).len() < 100 << 10);
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_said_to_be() {
    let result = ends("flood", &[]).await;
    assert_eq!(result.outcome, "ok", "{result:?}");
    assert!(result.truncated);
    assert_eq!(result.stdout.len(), 1 << 20);
}

#[tokio::test]
async fn output_that_is_no_text_is_shown_as_far_as_it_is() {
    let result = ends("bytes", &[]).await;
    assert_eq!(result.stdout, "\u{fffd}\u{fffd} ok\n");
}
