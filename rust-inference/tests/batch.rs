//! `--batch`: thousands of lines through one process, each answered, in order, at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rust-inference"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it makes of all of this input.
fn run(arguments: &[&str], input: Vec<u8>) -> Output {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The answers to lines; the run must end well.
fn answers(arguments: &[&str], lines: &[impl ToString]) -> Vec<Value> {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let output = run(arguments, (lines.join("\n") + "\n").into_bytes());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    read(&output)
}

fn read(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ring() -> Value {
    json!([{"name": "ring", "description": "Ring the bell", "parameters":
        {"type": "object", "properties": {"times": {"type": "integer"}}}}])
}

const RUNG: &str = "At once.<start_function_call>call:ring{times:2}<end_function_call>";

#[test]
fn each_line_is_answered_under_its_id_and_in_order() {
    let user = json!([{"role": "user", "content": "Ring <escape>"}]);
    let prompts = answers(
        &["render", "--batch"],
        &[
            json!({"id": "a", "messages": user}),
            json!({"id": {"n": [1]}, "messages": user, "tools": ring()}),
            json!({"id": 3, "messages": []}),
            json!({"messages": user}),
        ],
    );
    assert_eq!(prompts[0]["id"], "a");
    assert_eq!(
        prompts[0]["result"]["prompt"],
        "<bos><start_of_turn>user\nRing <escape><end_of_turn>\n<start_of_turn>model\n"
    );
    let warning = prompts[0]["result"]["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("a text spells <escape>"), "{warning}");
    assert_eq!(
        (&prompts[1]["id"], &prompts[1]["ok"]),
        (&json!({"n": [1]}), &json!(true))
    );
    assert!(
        prompts[1]["result"]["prompt"]
            .as_str()
            .unwrap()
            .contains("declaration:ring{")
    );
    assert_eq!(
        prompts[2],
        json!({"id": 3, "ok": false, "error": {"message": "the conversation has no message"}})
    );
    assert_eq!(
        (&prompts[3]["id"], &prompts[3]["ok"]),
        (&Value::Null, &json!(true))
    );

    let calls = answers(
        &["parse", "--batch"],
        &[
            json!({"id": 1, "tools": ring(), "text": RUNG}),
            json!({"id": 2, "tools": {"tools": ring()}, "text": "Hello"}),
            json!({"id": 3, "tools": ring(), "text": "<start_function_call>call:sing{}<end_function_call>"}),
        ],
    );
    let call = json!({"name": "ring", "arguments": {"times": 2}});
    assert_eq!(
        calls[0],
        json!({"id": 1, "ok": true, "result": {"content": "At once.", "tool_calls": [call]}})
    );
    assert_eq!(
        calls[1],
        json!({"id": 2, "ok": true, "result": {"content": "Hello", "tool_calls": []}})
    );
    assert_eq!(
        calls[2]["error"],
        json!({"position": 26, "message": "at byte 26: unknown function \"sing\"; expected one of: ring"})
    );
}

#[test]
fn a_line_without_tools_has_those_of_the_command_line() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("tools.json");
    fs::write(&file, ring().to_string()).unwrap();
    let sing = json!([{"name": "sing"}]);
    let answers = answers(
        &["parse", "--batch", "--tools", file.to_str().unwrap()],
        &[
            json!({"id": 1, "text": RUNG}),
            json!({"id": 2, "text": RUNG, "tools": sing}),
        ],
    );
    assert_eq!(
        (&answers[0]["ok"], &answers[1]["ok"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_broken_line_is_answered_with_its_number_and_the_next_is_served() {
    let good = json!({"id": "good", "tools": ring(), "text": "Hi"}).to_string();
    let deep = format!(r#"{{"id":1,"tools":{}"#, "[".repeat(100_000));
    let mut input = Vec::new();
    let broken: [(&[u8], &str); 8] = [
        (b"", "EOF while parsing a value at column"),
        (b"{", "EOF while parsing an object at column"),
        (b"nonsense", "expected ident at column 2"),
        (b"[1]", "expected an object"),
        (b"\"text\"", "expected an object {\"id\""),
        (b"{\"id\": 1} {}", "trailing characters at column 11"),
        (
            b"{\"id\": \"\xff\"}",
            "invalid unicode code point at column",
        ),
        (deep.as_bytes(), "EOF while parsing a list at column"),
    ];
    for (line, _) in broken {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\r\n");
        input.extend_from_slice(good.as_bytes());
        input.push(b'\n');
    }
    // The last line has no end.
    input.extend_from_slice(good.as_bytes());
    let output = run(&["parse", "--batch"], input);
    assert_eq!(output.status.code(), Some(0));
    let answers = read(&output);
    assert_eq!(answers.len(), 2 * broken.len() + 1);
    for (i, (_, told)) in broken.iter().enumerate() {
        let answer = &answers[2 * i];
        assert_eq!(
            (&answer["id"], &answer["ok"]),
            (&Value::Null, &json!(false))
        );
        assert_eq!(answer["error"]["line"], 2 * i + 1);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
        assert_eq!(answers[2 * i + 1]["id"], "good");
    }
    assert_eq!(answers[2 * broken.len()]["ok"], true);
}

#[test]
fn what_is_wrong_in_a_line_is_told_with_its_place() {
    let user = json!([{"role": "user", "content": "x"}]);
    let nobody = json!([{"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}]);
    let unusable = json!([{"name": "f"}, {"name": "g", "parameters": {"properties": {"x": {"type": "strng"}}}}]);
    for (command, line, pointer, told) in [
        (
            "render",
            json!({"id": 0}),
            "/messages",
            "messages are missing",
        ),
        (
            "render",
            json!({"id": 0, "messages": nobody}),
            "/messages/1",
            "\"nobody\" is unknown",
        ),
        (
            "render",
            json!({"id": 0, "messages": user, "tools": [{"name": ""}]}),
            "/tools/0",
            "name is missing",
        ),
        (
            "parse",
            json!({"id": 0, "text": "x"}),
            "/tools",
            "tools are missing",
        ),
        (
            "parse",
            json!({"id": 0, "tools": ring()}),
            "/text",
            "text is missing",
        ),
        (
            "parse",
            json!({"id": 0, "tools": ring(), "text": 3}),
            "/text",
            "expected a string",
        ),
        (
            "parse",
            json!({"id": 0, "tools": 3, "text": "x"}),
            "/tools",
            "not a list",
        ),
        (
            "parse",
            json!({"id": 0, "tools": unusable, "text": "x"}),
            "/tools/1/parameters",
            "\"strng\"",
        ),
    ] {
        let answer = &answers(&[command, "--batch"], &[line])[0];
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(0), &json!(false)));
        assert_eq!(answer["error"]["pointer"], pointer);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn tools_nested_without_end_are_refused_under_their_id() {
    let depth = 100_000;
    let deep = format!(
        r#"{{"id":1,"text":"x","messages":[],"tools":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    for command in ["parse", "render"] {
        let answer = &answers(&[command, "--batch"], &[&deep])[0];
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(1), &json!(false)));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("recursion limit"), "{message}");
    }
}

#[test]
fn a_line_is_answered_while_the_next_is_not_written_yet() {
    let mut child = start(&["parse", "--batch"]);
    let mut stdin = child.stdin.take().unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        for line in out.lines() {
            told.send(line.unwrap()).unwrap();
        }
    });
    let line = json!({"id": 7, "tools": ring(), "text": "Hi"}).to_string();
    for _ in 0..3 {
        writeln!(stdin, "{line}").unwrap();
        let answer = heard.recv_timeout(Duration::from_mins(1)).unwrap();
        assert!(answer.starts_with(r#"{"id":7,"ok":true"#), "{answer}");
        // Half of the next line is no reason to wait for the rest.
        let (half, rest) = line.split_at(20);
        write!(stdin, "{line}\n{half}").unwrap();
        heard.recv_timeout(Duration::from_mins(1)).unwrap();
        writeln!(stdin, "{rest}").unwrap();
        heard.recv_timeout(Duration::from_mins(1)).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
}

#[test]
fn a_line_of_64_megabytes_is_refused_in_bounded_memory() {
    let mut child = start(&["parse", "--batch"]);
    let mut stdin = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut answer = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let megabyte = "x".repeat(1_000_000);
    write!(stdin, r#"{{"id":1,"tools":[],"text":""#).unwrap();
    for _ in 0..64 {
        stdin.write_all(megabyte.as_bytes()).unwrap();
    }
    writeln!(stdin, "\"}}").unwrap();
    let refused = answer();
    assert_eq!(
        (&refused["id"], &refused["error"]["line"]),
        (&Value::Null, &json!(1))
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert_eq!(message, "the line is longer than 16777216 bytes");
    for id in 2..30 {
        writeln!(stdin, r#"{{"id":{id},"tools":[],"text":"{megabyte}"}}"#).unwrap();
        assert_eq!(answer()["id"], id);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 64 << 10, "{kilobytes} kB at most");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn thousands_of_lines_over_the_same_tools_take_a_moment() {
    // So much to compile that doing it for every line would take minutes.
    let parameters: serde_json::Map<String, Value> = (0..300)
        .map(|i| (format!("p{i}"), json!({"type": "string", "pattern": "^[a-z]{1,40}(-[a-z]{1,40}){3}$", "maxLength": 200})))
        .collect();
    let tools = json!([{"name": "f", "parameters": {"type": "object", "properties": parameters}},
        {"name": "ring", "parameters": {"type": "object"}}]);
    let lines: Vec<Value> = (0..4000)
        .map(|i| json!({"id": i, "tools": tools, "text": RUNG}))
        .collect();
    let before = Instant::now();
    let answers = answers(&["parse", "--batch"], &lines);
    let took = before.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(answers.len(), 4000);
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(i), &json!(true)));
    }
}

#[test]
fn nobody_who_reads_on_is_no_failure_and_no_input_neither() {
    let output = run(&["render", "--batch"], Vec::new());
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    let mut child = start(&["parse", "--batch"]);
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", json!({"id": 1, "tools": [], "text": "x"})).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}
