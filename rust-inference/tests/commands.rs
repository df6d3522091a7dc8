//! `render` and `parse` as a person runs them: what they print, and how they fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

const CHAT: &str = r#"{"messages": [{"role": "user", "content": "Ring"}], "tools": [{"name": "ring", "description": "Ring the bell"}]}"#;
const TOOLS: &str = r#"[{"type": "function", "function": {"name": "ring", "parameters": {"type": "object", "properties": {"times": {"type": "integer"}}}}}]"#;

/// Runs the program with files in its directory and a text on its standard input.
fn run(arguments: &[&str], files: &[(&str, &str)], input: &[u8]) -> Output {
    let room = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(room.path().join(name), text).unwrap();
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_rust-inference"))
        .args(arguments)
        .current_dir(room.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that fails before it reads has closed its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn render_prints_the_exact_prompt() {
    let prompt = "<bos><start_of_turn>developer\nYou are a model that can do function calling with the following functions\
        <start_function_declaration>declaration:ring{description:<escape>Ring the bell<escape>}<end_function_declaration>\
        <end_of_turn>\n<start_of_turn>user\nRing<end_of_turn>\n<start_of_turn>model\n";
    let from_file = run(
        &["render", "--input", "chat.json"],
        &[("chat.json", CHAT)],
        b"",
    );
    let from_stdin = run(&["render", "--input", "-"], &[], CHAT.as_bytes());
    for output in [from_file, from_stdin] {
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        assert_eq!(text(&output.stdout), prompt);
    }
}

#[test]
fn render_warns_on_stderr_of_what_it_repaired() {
    let chat = r#"{"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f", "parameters": {"type": "object", "properties": {"type": {"type": "string"}}}}]}"#;
    let output = run(&["render", "--input", "-"], &[], chat.as_bytes());
    assert!(output.status.success());
    assert!(
        text(&output.stderr).starts_with("warning: parameter type "),
        "{output:?}"
    );
}

#[test]
fn parse_prints_content_and_calls() {
    let files = [("tools.json", TOOLS)];
    let spoken = "At once.<start_function_call>call:ring{times:2}<end_function_call><start_function_response>";
    let output = run(
        &["parse", "--tools", "tools.json"],
        &files,
        spoken.as_bytes(),
    );
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let call = json!({"name": "ring", "arguments": {"times": 2}});
    assert_eq!(
        printed,
        json!({"content": "At once.", "tool_calls": [call]})
    );
    // A file made for render serves as well.
    let output = run(
        &["parse", "--tools", "chat.json"],
        &[("chat.json", CHAT)],
        b"Hello",
    );
    assert_eq!(
        text(&output.stdout),
        "{\"content\":\"Hello\",\"tool_calls\":[]}\n"
    );
}

#[test]
fn a_failure_says_what_is_wrong_and_where() {
    let files = [
        ("tools.json", TOOLS),
        ("bad.json", "{\"messages\": [}"),
        ("tool.json", r#"{"name": "ring"}"#),
        ("null.json", "null"),
        ("number.json", r#"{"tools": 3}"#),
        ("nameless.json", r#"[{"description": "x"}]"#),
        (
            "type.json",
            r#"[{"name": "f", "parameters": {"properties": {"x": {"type": "strng"}}}}]"#,
        ),
        ("twice.json", r#"[{"name": "f"}, {"name": "f"}]"#),
    ];
    let parse: &[&str] = &["parse", "--tools", "tools.json"];
    for (arguments, input, status, error) in [
        (
            parse,
            &b"<start_function_call>call:ring{times:}"[..],
            1,
            "error: at byte 37: expected a value",
        ),
        (
            parse,
            b"<start_function_call>call:rong{}",
            1,
            "error: at byte 26: unknown function \"rong\"",
        ),
        (
            parse,
            b"\xff",
            2,
            "error: cannot read -: stream did not contain valid UTF-8",
        ),
        (
            &["parse", "--tools", "bad.json"],
            b"",
            1,
            "error: JSON: expected value at line 1 column 15",
        ),
        (
            &["parse", "--tools", "none.json"],
            b"",
            2,
            "error: cannot read none.json: No such file",
        ),
        (
            &["parse"],
            b"",
            2,
            "error: the following required arguments were not provided: --tools",
        ),
        (
            &["render", "--input", "bad.json"],
            b"",
            1,
            "error: JSON: expected value at line 1 column 15",
        ),
        (
            &["render", "--input", "none.json"],
            b"",
            2,
            "error: cannot read none.json: No such file",
        ),
        (
            &["render", "--input", "."],
            b"",
            2,
            "error: cannot read .: Is a directory",
        ),
        (
            &["render", "--input", "-"],
            br#"{"messages": []}"#,
            1,
            "error: the conversation has no message",
        ),
        (
            &["render", "--input", "-"],
            br#"{"tools": []}"#,
            1,
            "error: JSON: missing field `messages`",
        ),
        (
            &["parse", "--tools", "tool.json"],
            b"Hello",
            1,
            "error: tools: they are not a list",
        ),
        (
            &["parse", "--tools", "null.json"],
            b"Hello",
            1,
            "error: tools: they are not a list",
        ),
        (
            &["parse", "--tools", "number.json"],
            b"Hello",
            1,
            "error: tools: they are not a list",
        ),
        (
            &["parse", "--tools", "nameless.json"],
            b"Hello",
            1,
            "error: tools[0]: name is missing",
        ),
        (
            &["parse", "--tools", "type.json"],
            b"Hello",
            1,
            "error: tools[0].parameters: not a usable JSON Schema: \"strng\"",
        ),
        (
            &["parse", "--tools", "twice.json"],
            b"Hello",
            1,
            "error: tools[1]: a second tool is named \"f\"",
        ),
        (
            &["render", "--input", "-"],
            br"[]",
            1,
            "error: JSON: invalid length 0, expected an object {\"messages\": […], \"tools\": […]} at line 1 column 2",
        ),
        (
            &["render", "--input", "-"],
            br#"{"messages": [3]}"#,
            1,
            "error: JSON: invalid type: integer `3`, expected a message {\"role\", \"content\"} at line 1 column 15",
        ),
        (
            &["render", "--input", "-"],
            br#"{"messages": [{"role": "user", "content": 3}]}"#,
            1,
            "error: messages[0]: content is neither text nor a list of parts",
        ),
    ] {
        let output = run(arguments, &files, input);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(told.starts_with(error), "{arguments:?}: {told}");
        assert!(told.lines().count() <= 2 && told.ends_with('\n'), "{told}");
    }
}
