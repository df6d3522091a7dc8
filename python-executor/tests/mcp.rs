//! The tools, served to clients of MCP: over the socket and over standard input and output.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::{process::Stdio, time::Duration};

use common::{
    Executor, children_of, command, gone,
    mcp::{Mcp, text},
    only_child,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

const TOOLS: &str = r#"
import logging, sys, time
from callspan import Artefact, Context

@tool
def echo(value: dict) -> dict:
    """Give back what comes."""
    print("echoing")
    print("softly", file=sys.stderr)
    return value

@tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n

@tool
def greet(name: str) -> str:
    """Greet."""
    return f"hello {name}"

@tool
def broken() -> None:
    """Fail."""
    raise ValueError("there is no hour 31")

@tool(wall_ms=200)
def hang() -> None:
    """Take for ever."""
    time.sleep(60)

@tool(wall_ms=60000)
def slow(ctx: Context) -> None:
    """Take long."""
    ctx.progress(0, 1, "begun")
    time.sleep(60)

@tool(network=["127.0.0.1:1"])
def far(ctx: Context) -> int:
    """Tell how far it is."""
    for step in range(3):
        ctx.progress(step, 4, f"step {step}")
    ctx.progress(2, 4, "still there")
    logging.getLogger("mine").warning("half way")
    logging.info("nearly")
    return 4

@tool
def files() -> list:
    """Hand over files."""
    return [
        Artefact(b"\x89PNG", "image/png", "p.png"),
        Artefact("<svg>é</svg>".encode(), "image/svg+xml", "a b.svg"),
        Artefact(b"\xff\x00", "application/zip", "z.zip"),
        Artefact(b"RIFF", "audio/wav", "s.wav"),
    ]
"#;

async fn executor() -> Executor {
    Executor::start(TOOLS).await
}

/// One call at a time, which may last, by a child that is made for it.
async fn patient() -> Executor {
    let patient = ["--wall-ms", "60000", "--spares", "0", "--max-calls", "1"];
    Executor::start_with(&[("tools.py", TOOLS)], &patient).await
}

/// What every request of the newest revision tells.
fn modern() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[tokio::test]
async fn a_connection_that_begins_with_json_rpc_speaks_mcp_and_all_others_speak_frames() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let result = mcp.call("double", json!({"n": 21})).await;
    assert_eq!((text(&result), &result["isError"]), ("42", &json!(false)));
    assert_eq!(executor.call("double", r#"{"n":21}"#).await.result, "42");
}

#[tokio::test]
async fn tools_are_listed_with_their_schemas_and_with_what_the_sandbox_sees_to() {
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &["--grant-declared"]).await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let answer = mcp.ask("tools/list", json!({})).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    let ours = executor.list().await.tools;
    assert_eq!(tools.len(), ours.len());
    for (tool, ours) in tools.iter().zip(ours) {
        assert_eq!(tool["name"], ours.name);
        assert_eq!(tool["description"], ours.description);
        // In the same order, too.
        assert_eq!(tool["inputSchema"].to_string(), ours.parameters);
        assert_eq!(tool.get("outputSchema"), None);
    }
    let of = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap();
    let alone = json!({"readOnlyHint": true, "openWorldHint": false});
    assert_eq!(of("double")["annotations"], alone);
    assert_eq!(of("far")["annotations"], json!({"openWorldHint": true}));
}

#[tokio::test]
async fn without_a_sandbox_nothing_is_said_of_what_a_tool_may_do() {
    let executor = Executor::start_with(&[("tools.py", TOOLS)], &["--isolation", "none"]).await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let answer = mcp.ask("tools/list", json!({})).await;
    assert_eq!(answer["result"]["tools"][0].get("annotations"), None);
    let result = mcp.call("double", json!({"n": 1})).await;
    assert_eq!(result["_meta"]["callspan/isolation"]["level"], "none");
}

#[tokio::test]
async fn a_result_is_structured_and_text_and_says_how_it_was_run() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let value = r#"{"z":9007199254740993,"a":[1.10,{"y":null}]}"#;
    mcp.write(&format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"value\":{value}}}}}}}\n"
    ))
    .await;
    let result = mcp.answer(77).await["result"].clone();
    assert_eq!(
        text(&result),
        r#"{"z":9007199254740993,"a":[1.1,{"y":null}]}"#
    );
    assert_eq!(result["structuredContent"].to_string(), text(&result));
    let meta = &result["_meta"];
    assert_eq!(meta["callspan/outcome"], "ok");
    assert_ne!(meta["callspan/isolation"]["level"], "none");
    assert_eq!(meta["callspan/stdout"], "echoing\n");
    assert_eq!(meta["callspan/stderr"], "softly\n");
    assert!(meta["callspan/usage"]["wall_us"].as_u64() > Some(0));
    let greeting = mcp.call("greet", json!({"name": "you"})).await;
    assert_eq!(text(&greeting), "hello you");
    assert_eq!(
        greeting["structuredContent"],
        json!({"result": "hello you"})
    );
}

#[tokio::test]
async fn the_newest_revision_needs_no_handshake_and_has_results_of_any_type() {
    let executor = executor().await;
    let mut mcp = Mcp::connect(&executor.socket).await;
    let found = mcp.ask("server/discover", json!({"_meta": modern()})).await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let params = json!({"name": "double", "arguments": {"n": 4}, "_meta": modern()});
    let answer = mcp.ask("tools/call", params).await;
    assert_eq!(answer["result"]["structuredContent"], 8, "{answer}");
}

#[tokio::test]
async fn a_failed_call_is_a_result_that_says_which_and_what_cannot_be_called_is_an_error() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    for (name, arguments, said) in [
        (
            "broken",
            json!({}),
            "exception: ValueError: there is no hour 31",
        ),
        ("hang", json!({}), "timeout: the tool was stopped after"),
        (
            "double",
            json!({"n": "x"}),
            "invalid_arguments: /n: \"x\" is not of type",
        ),
        (
            "double",
            json!({}),
            "invalid_arguments: \"n\" is a required property",
        ),
    ] {
        let result = mcp.call(name, arguments).await;
        assert!(text(&result).starts_with(said), "{result}");
        assert_eq!(result["isError"], true);
        assert_eq!(result.get("structuredContent"), None);
    }
    let answer = mcp.ask("tools/call", json!({"name": "none"})).await;
    assert_eq!(answer["error"]["code"], -32602);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("there is no tool \"none\"; there are: echo,"));
    let answer = mcp.ask("no/such", json!({})).await;
    assert_eq!(answer["error"]["code"], -32601);
}

#[tokio::test]
async fn files_are_pictures_sounds_texts_and_others_by_their_media_types() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let result = mcp.call("files", json!({})).await;
    let content = result["content"].as_array().unwrap();
    assert_eq!(
        content[1..],
        [
            json!({"type": "image", "data": "iVBORw==", "mimeType": "image/png"}),
            json!({"type": "resource", "resource":
                {"uri": "artefact:///a%20b.svg", "mimeType": "image/svg+xml", "text": "<svg>é</svg>"}}),
            json!({"type": "resource", "resource":
                {"uri": "artefact:///z.zip", "mimeType": "application/zip", "blob": "/wA="}}),
            json!({"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}),
        ]
    );
}

#[tokio::test]
async fn progress_is_told_to_who_asked_and_logs_from_the_level_on_that_was_set() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let far = |meta: Value| json!({"name": "far", "arguments": {}, "_meta": meta});
    let answer = mcp
        .ask("tools/call", far(json!({"progressToken": "p"})))
        .await;
    assert_eq!(text(&answer["result"]), "4");
    let told = std::mem::take(&mut mcp.notified);
    let (progress, logs): (Vec<_>, Vec<_>) = told
        .into_iter()
        .partition(|one| one["method"] == "notifications/progress");
    let mut last = -1.0;
    for one in &progress {
        assert_eq!(one["params"]["progressToken"], "p");
        assert_eq!(one["params"]["total"], 1.0);
        let now = one["params"]["progress"].as_f64().unwrap();
        assert!(now > last, "{progress:?}");
        last = now;
    }
    // Those that come close upon each other are told as one.
    assert_eq!(progress.last().unwrap()["params"]["message"], "still there");
    let said = |log: &Value| {
        let params = &log["params"];
        format!(
            "{} {} {}",
            params["level"], params["logger"], params["data"]
        )
    };
    let said: Vec<String> = logs.iter().map(said).collect();
    assert_eq!(
        said,
        [
            r#""warning" "mine" "half way""#,
            r#""info" "root" "nearly""#
        ]
    );
    let set = mcp
        .ask("logging/setLevel", json!({"level": "warning"}))
        .await;
    assert_eq!(set["result"], json!({}));
    mcp.ask("tools/call", far(json!({}))).await;
    let [only] = &mcp.notified[..] else {
        panic!("{:?}", mcp.notified)
    };
    assert_eq!(only["params"]["data"], "half way");
}

#[tokio::test]
async fn the_newest_revision_is_told_of_logs_only_where_a_request_says_so() {
    let executor = executor().await;
    let mut mcp = Mcp::connect(&executor.socket).await;
    let mut meta = modern();
    let call = |meta: &Value| json!({"name": "far", "_meta": meta});
    mcp.ask("tools/call", call(&meta)).await;
    assert_eq!(mcp.notified, [] as [Value; 0]);
    meta["io.modelcontextprotocol/logLevel"] = "info".into();
    mcp.ask("tools/call", call(&meta)).await;
    assert_eq!(mcp.notified.len(), 2, "{:?}", mcp.notified);
}

#[tokio::test]
async fn a_cancelled_call_is_stopped_and_the_connection_goes_on() {
    let executor = patient().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let params = json!({"name": "slow", "_meta": {"progressToken": 1}});
    let id = mcp.request("tools/call", params).await;
    mcp.notification("notifications/progress").await;
    let child = only_child(executor.zygotes()[0]).await;
    let why = json!({"requestId": id, "reason": "enough"});
    mcp.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": why}))
        .await;
    gone(child).await;
    // There is one place, and it is free.
    assert_eq!(text(&mcp.call("double", json!({"n": 1})).await), "2");
    assert_eq!(mcp.notified, [] as [Value; 0]);
}

#[tokio::test]
async fn who_hangs_up_stops_his_calls() {
    let executor = patient().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let params = json!({"name": "slow", "_meta": {"progressToken": 1}});
    mcp.request("tools/call", params).await;
    mcp.notification("notifications/progress").await;
    let child = only_child(executor.zygotes()[0]).await;
    drop(mcp);
    gone(child).await;
}

#[tokio::test]
async fn a_change_of_the_tools_is_told() {
    let executor = executor().await;
    let mut legacy = Mcp::start(&executor.socket).await;
    let mut newest = Mcp::connect(&executor.socket).await;
    let wanted = json!({"notifications": {"toolsListChanged": true}, "_meta": modern()});
    newest.request("subscriptions/listen", wanted).await;
    newest
        .notification("notifications/subscriptions/acknowledged")
        .await;
    let more =
        "from callspan import tool\n@tool\ndef late() -> int:\n    \"Late.\"\n    return 5\n";
    std::fs::write(executor.room.path().join("tools/late.py"), more).unwrap();
    let changed = "notifications/tools/list_changed";
    legacy.notification(changed).await;
    newest.notification(changed).await;
    assert_eq!(text(&legacy.call("late", json!({})).await), "5");
}

#[tokio::test]
async fn what_is_no_message_is_an_error_and_the_connection_lives() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    mcp.write("{\"jsonrpc\":\"2.0\",\n").await;
    assert_eq!(mcp.line().await.unwrap()["error"]["code"], -32700);
    mcp.write("{\"id\":1,\"list_tools\":{}}\n").await;
    assert_eq!(mcp.line().await.unwrap()["error"]["code"], -32600);
    mcp.write(&format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"x\":\"{}\"}}\n\n",
        "x".repeat(5 << 20)
    ))
    .await;
    let long = mcp.line().await.unwrap()["error"].clone();
    assert_eq!(
        (&long["code"], &long["message"]),
        (
            &json!(-32600),
            &json!("a message is longer than 4194304 bytes")
        )
    );
    assert_eq!(text(&mcp.call("double", json!({"n": 3})).await), "6");
}

/// More than a connection may have under way at once: what is too much waits in the socket, not in the executor.
#[tokio::test]
async fn who_asks_much_before_he_reads_gets_every_answer() {
    let executor = executor().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    // Nothing is read meanwhile, so it must fit into the socket.
    let ids: Vec<u64> = (1000..1600).collect();
    let ask = |id: &u64| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/list\"}}\n");
    mcp.write(&ids.iter().map(ask).collect::<String>()).await;
    let mut left: std::collections::HashSet<u64> = ids.into_iter().collect();
    while !left.is_empty() {
        let answer = mcp.line().await.unwrap();
        assert!(left.remove(&answer["id"].as_u64().unwrap()), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_end_closes_its_connections() {
    let mut executor = patient().await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let params = json!({"name": "slow", "_meta": {"progressToken": 1}});
    mcp.request("tools/call", params).await;
    mcp.notification("notifications/progress").await;
    let pid = rustix::process::Pid::from_raw(executor.process.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while mcp.line().await.is_some() {}
    assert!(executor.process.wait().unwrap().success());
}

#[tokio::test]
async fn on_standard_output_is_nothing_but_mcp_and_closed_input_ends_all() {
    let room = tempfile::tempdir().unwrap();
    std::fs::write(
        room.path().join("tools.py"),
        format!("from callspan import tool\nprint('at import')\n{TOOLS}"),
    )
    .unwrap();
    std::fs::write(room.path().join("bad.py"), "1 +").unwrap();
    let mut process = tokio::process::Command::from(command())
        .args(["--mcp", "--wall-ms", "60000", "--tools"])
        .arg(room.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"value":{"a":1}}}}
{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"slow","arguments":{},"_meta":{"progressToken":"p"}}}
"#;
    stdin.write_all(hello.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = stdout.next_line().await.unwrap().unwrap();
        let message: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(message["jsonrpc"], "2.0");
        seen.push(message);
    }
    let of = |id: u64| seen.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(of(1)["result"]["protocolVersion"], "2025-06-18");
    let printed = of(2)["result"]["_meta"]["callspan/stdout"].as_str();
    assert!(printed.unwrap().ends_with("echoing\n"), "{seen:?}");
    let pid = process.id().unwrap();
    let below = children_of(pid);
    assert!(!below.is_empty());
    drop(stdin);
    let ended = tokio::time::timeout(Duration::from_secs(20), process.wait()).await;
    assert!(ended.unwrap().unwrap().success());
    for child in below {
        gone(child).await;
    }
    let stopped = stdout.next_line().await.unwrap().unwrap();
    assert!(stopped.contains("the call was cancelled"), "{stopped}");
    assert_eq!(stdout.next_line().await.unwrap(), None);
    let mut talk = String::new();
    let mut stderr = process.stderr.take().unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut talk)
        .await
        .unwrap();
    assert!(talk.contains("bad.py is not used: "), "{talk}");
    assert!(talk.contains("8 tools of "), "{talk}");
    assert!(
        talk.contains(" on standard input and output (MCP), isolation "),
        "{talk}"
    );
}

#[tokio::test]
async fn with_mcp_on_standard_input_there_is_no_socket() {
    let output = command()
        .args(["--mcp", "--socket", "/tmp/cs-none"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("'--mcp' cannot be used with '--socket"),
        "{said}"
    );
}
