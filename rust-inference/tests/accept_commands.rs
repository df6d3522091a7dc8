//! `accept` and `schema` as a person or a program runs them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::{Value, json};

/// `ring` can be kept to; of `poll` not the keyword `uniqueItems`.
const RING: &str = r#"{"name": "ring", "parameters": {"type": "object", "properties": {"times": {"type": "integer", "minimum": 1}, "Bell": {"type": "string"}}, "required": ["times"]}}"#;
const POLL: &str = r#"{"name": "poll", "parameters": {"type": "object", "properties": {"options": {"type": "array", "items": {"type": "string"}, "uniqueItems": true}}}}"#;

/// Runs the program in a directory with ring.json and both.json, and this on its standard input.
fn run(arguments: &[&str], input: &str) -> Output {
    let room = tempfile::tempdir().unwrap();
    std::fs::write(room.path().join("ring.json"), format!("[{RING}]")).unwrap();
    std::fs::write(
        room.path().join("both.json"),
        format!("{{\"tools\": [{RING}, {POLL}]}}"),
    )
    .unwrap();
    std::fs::write(
        room.path().join("text"),
        "<start_function_call>call:ring{times:2}<end_function_call>",
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rust-inference"))
        .args(arguments)
        .current_dir(room.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A call of `ring`.
fn ring(arguments: &str) -> String {
    format!("<start_function_call>call:ring{arguments}<end_function_call>")
}

#[test]
fn what_is_accepted_exits_0_and_shows_the_calls() {
    let told = "{\"accepted\":true,\"content\":\"\",\"tool_calls\":[{\"name\":\"ring\",\"arguments\":{\"times\":2}}]}\n";
    let piped = run(&["accept", "--tools", "ring.json"], &ring("{times:2}"));
    let from_file = run(&["accept", "--tools", "ring.json", "--input", "text"], "");
    for output in [piped, from_file] {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(text(&output.stdout), told);
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn what_is_not_accepted_exits_1_with_the_byte_and_what_was_expected() {
    let output = run(&["accept", "--tools", "ring.json"], &ring("{times:0}"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        told,
        json!({"accepted": false, "position": 37, "expected": "minimum 1",
            "message": "/times: 0 is less than the minimum of 1"})
    );
    assert_eq!(
        text(&output.stderr),
        "error: at byte 37: /times: 0 is less than the minimum of 1\n"
    );
}

#[test]
fn a_line_break_that_a_shell_adds_is_named() {
    let output = run(
        &["accept", "--tools", "ring.json"],
        &(ring("{times:1}") + "\n"),
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(
        told.contains("\nfix: leave out the line break at the end"),
        "{told}"
    );
}

#[test]
fn what_a_call_must_keep_to_is_said_by_flags() {
    let (early, late) = (
        "{Bell:<escape>x<escape>,times:1}",
        "{times:1,Bell:<escape>x<escape>}",
    );
    for (flags, input, status) in [
        (&["--argument-order", "sorted"][..], ring(early), 0),
        (&["--argument-order", "sorted"], ring(late), 1),
        (&["--argument-order", "declared"], ring(late), 0),
        (&["--argument-order", "declared"], ring(early), 1),
        (&["--argument-order", "any"], ring(late), 0),
        (&["--tool-choice", "none"], ring("{times:1}"), 1),
        (&["--tool-choice", "none"], "Hi".to_owned(), 0),
        (&["--tool-choice", "required"], "Hi".to_owned(), 1),
        (&["--tool-choice", "ring"], ring("{times:1}"), 0),
        (&["--tool-choice", "function:ring"], ring("{times:1}"), 0),
        (&["--tool-choice", "sing"], ring("{times:1}"), 2),
        (&["--max-calls", "2"], ring("{times:1}").repeat(2), 0),
        (&["--max-calls", "1"], ring("{times:1}").repeat(2), 1),
        (&["--max-calls", "0"], String::new(), 2),
        (&["--argument-order", "random"], String::new(), 2),
    ] {
        let arguments = [&["accept", "--tools", "ring.json"], flags].concat();
        let output = run(&arguments, &input);
        assert_eq!(output.status.code(), Some(status), "{flags:?}: {output:?}");
    }
}

#[test]
fn schemas_that_cannot_be_kept_to_exit_2_with_the_pointer_unless_lenience_is_asked_for() {
    let output = run(&["accept", "--tools", "both.json"], &ring("{times:1}"));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let pointer = "/tools/1/parameters/properties/options/uniqueItems";
    assert!(text(&output.stderr).contains(pointer), "{output:?}");
    let twice = "<start_function_call>call:poll{options:[<escape>a<escape>,<escape>a<escape>]}<end_function_call>";
    let output = run(&["accept", "--tools", "both.json", "--lenient"], twice);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stderr).starts_with(&format!("warning: {pointer}")),
        "{output:?}"
    );
}

#[test]
fn with_a_model_the_text_is_counted_in_its_tokens() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default");
    let output = run(&["accept", "--tools", "ring.json", "--model", models], "Hi");
    let told = lines(&output).remove(0);
    assert!(
        told["tokens"]
            .as_u64()
            .is_some_and(|tokens| (1..=2).contains(&tokens)),
        "{told}"
    );
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/one-kv-head");
    for (dir, told) in [("nowhere", "cannot load the tokenizer"), (other, "error: ")] {
        let output = run(&["accept", "--tools", "ring.json", "--model", dir], "Hi");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(told), "{output:?}");
    }
}

#[test]
fn schema_prints_what_was_understood_and_what_was_refused() {
    let output = run(&["schema", "--tools", "ring.json"], "");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.is_empty()),
        (Some(0), true),
        "{output:?}"
    );
    let object = json!({"object": {"Bell?": "string", "times": "integer, minimum 1"}});
    assert_eq!(
        told,
        json!({"functions": [{"name": "ring", "arguments": object}]})
    );

    let refused = run(&["schema", "--tools", "both.json"], "");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        told["functions"][0],
        json!({"name": "ring", "arguments": object})
    );
    let poll = &told["functions"][1];
    assert_eq!(
        poll["arguments"],
        json!({"object": {"options?": {"array": "string"}}})
    );
    assert_eq!(
        poll["refused"][0]["pointer"],
        "/tools/1/parameters/properties/options/uniqueItems"
    );

    let lenient = run(&["schema", "--tools", "both.json", "--lenient"], "");
    let told: Value = serde_json::from_slice(&lenient.stdout).unwrap();
    assert_eq!(lenient.status.code(), Some(0), "{lenient:?}");
    assert_eq!(told["functions"][1]["notes"], poll["refused"]);
}

#[test]
fn both_answer_line_by_line() {
    let lines_in = [
        json!({"id": 1, "tools": [serde_json::from_str::<Value>(RING).unwrap()], "text": ring("{times:1}")}),
        json!({"id": 2, "tools": [serde_json::from_str::<Value>(RING).unwrap()], "text": ring("{ times:1}")}),
        json!({"id": 3, "tools": [serde_json::from_str::<Value>(POLL).unwrap()], "text": "Hi"}),
    ];
    let input = lines_in.map(|line| line.to_string() + "\n").concat();
    let accepted = lines(&run(&["accept", "--batch"], &input));
    let call = json!({"name": "ring", "arguments": {"times": 1}});
    assert_eq!(
        accepted[0],
        json!({"id": 1, "ok": true, "result": {"accepted": true, "content": "", "tool_calls": [call]}})
    );
    assert_eq!(
        (&accepted[1]["ok"], &accepted[1]["error"]["position"]),
        (&json!(false), &json!(31))
    );
    assert!(
        accepted[1]["error"]["expected"]
            .as_str()
            .unwrap()
            .starts_with("a key")
    );
    let error = &accepted[2]["error"];
    let pointer = "/tools/0/parameters/properties/options/uniqueItems";
    assert_eq!(
        (&error["pointer"], &error["refused"][0]["pointer"]),
        (&json!(pointer), &json!(pointer))
    );

    let lenient = lines(&run(&["accept", "--batch", "--lenient"], &input));
    assert_eq!(lenient[0], accepted[0]);
    assert_eq!(lenient[2]["result"]["notes"][0]["pointer"], pointer);

    let understood = lines(&run(&["schema", "--batch"], &input));
    let object = json!({"object": {"Bell?": "string", "times": "integer, minimum 1"}});
    assert_eq!(
        understood[0],
        json!({"id": 1, "ok": true, "result": {"functions": [{"name": "ring", "arguments": object}]}})
    );
    assert_eq!(understood[2]["error"]["pointer"], pointer);
    let lenient = lines(&run(&["schema", "--batch", "--lenient"], &input));
    assert_eq!(
        lenient[2]["result"]["functions"][0]["notes"][0]["pointer"],
        pointer
    );
}
