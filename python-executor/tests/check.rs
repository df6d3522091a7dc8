//! `check` and `--preload`: what a person does with tools before anybody calls them.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::process::Output;

use common::Executor;

fn check(files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let room = tempfile::Builder::new()
        .prefix("cs-")
        .tempdir_in("/tmp")
        .unwrap();
    let dir = room.path().join("tools");
    std::fs::create_dir(&dir).unwrap();
    for (name, text) in files {
        std::fs::write(dir.join(name), format!("from callspan import tool\n{text}")).unwrap();
    }
    common::command()
        .arg("check")
        .arg(&dir)
        .args(arguments)
        .output()
        .unwrap()
}

const GOOD: &str = "@tool\ndef good(text: str) -> str:\n    \"\"\"Good.\"\"\"\n    return text\n";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn good_tools_are_listed_and_the_status_is_0() {
    let output = check(&[("good.py", GOOD)], &[]);
    assert_eq!(out(&output), "ok       good.py  good\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_the_status_is_1() {
    let output = check(
        &[
            ("good.py", GOOD),
            (
                "untyped.py",
                "\n@tool\ndef untyped(text):\n    return text\n",
            ),
            ("hangs.py", "import os\nos._exit(4)\n"),
        ],
        &[],
    );
    let out = out(&output);
    assert!(out.contains("ok       good.py  good\n"), "{out}");
    assert!(out.contains("error    untyped.py  untyped.py:3: "), "{out}");
    assert!(
        out.contains("error    hangs.py  the tool exited with status 4"),
        "{out}"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: 2 problems\n"
    );
}

#[test]
fn what_a_tool_asks_for_in_vain_and_leaves_undescribed_is_a_warning() {
    let text =
        "@tool(network=[\"example.com:443\"])\ndef mute(text: str) -> str:\n    return text\n";
    let output = check(&[("mute.py", text)], &[]);
    let out = out(&output);
    assert!(
        out.contains("warning  mute.py  mute has no description"),
        "{out}"
    );
    assert!(out.contains("network = [\"example.com:443\"]"), "{out}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_directory_that_is_none_is_a_wrong_command_line() {
    let output = common::command()
        .args(["check", "/nowhere/at/all"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all does not exist"));
}

#[tokio::test]
async fn what_is_preloaded_is_there_before_a_tool_imports_it() {
    let tools = r#"
import sys
before = "sqlite3" in sys.modules

@tool
def loaded() -> bool:
    """Whether it was there."""
    return before
"#;
    let executor = Executor::start(tools).await;
    assert_eq!(executor.call("loaded", "{}").await.result, "false");
    let executor = Executor::start_with(&[("tools.py", tools)], &["--preload", "sqlite3"]).await;
    assert_eq!(executor.call("loaded", "{}").await.result, "true");
}

#[test]
fn what_cannot_be_preloaded_is_told_with_its_cure() {
    let output = check(&[("good.py", GOOD)], &["--preload", "no_such_module"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("cannot preload no_such_module") && error.contains("pip install"),
        "{error}"
    );
    let output = check(&[("good.py", GOOD)], &["--preload", "os;rm"]);
    assert_eq!(output.status.code(), Some(2));
}
