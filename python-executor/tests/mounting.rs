//! MCP servers of others, mounted: their tools are called as ours are, and they are confined as ours are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{
    Executor, call, end_of, error_of,
    mcp::{Mcp, text},
    mounting::{has, mounted, mounted_with, problems, server, value},
};
use ipc::proto::{Meta, frame::Body};
use serde_json::{Value, json};

const LEVELS: [&str; 2] = ["full", "reduced"];

#[tokio::test]
async fn a_servers_tools_are_listed_and_called_as_ours_are() {
    let executor = mounted(&[]).await;
    let tools = executor.list().await;
    assert_eq!(problems(&tools), [] as [&str; 0]);
    let add = tools
        .tools
        .iter()
        .find(|tool| tool.name == "good__add")
        .unwrap();
    assert_eq!(add.description, "The tool add.");
    let schema: Value = serde_json::from_str(&add.parameters).unwrap();
    assert_eq!(schema["required"], json!(["a", "b"]));
    let detail = tools
        .details
        .iter()
        .find(|one| one.name == "good__add")
        .unwrap();
    assert_eq!(detail.file, "mcp:good");
    assert!(detail.policy.contains(r#""approval":"ask""#), "{detail:?}");
    let result = executor.call("good__add", r#"{"a":2,"b":40}"#).await;
    assert_eq!(
        (result.outcome.as_str(), result.result.as_str()),
        ("ok", r#"{"sum":42}"#)
    );
    assert_eq!(result.start, "server");
    assert_ne!(result.isolation.unwrap().level, "none");
    assert_eq!(
        value(&executor, "greet", json!({"text": "you"})).await,
        "hello you"
    );
}

#[tokio::test]
async fn wrong_arguments_never_reach_a_server_and_its_failures_have_names() {
    let executor = mounted(&[]).await;
    for (name, arguments, said) in [
        (
            "add",
            r#"{"a":"x","b":1}"#,
            "invalid_arguments: /a: \"x\" is not of type \"integer\"",
        ),
        ("fail", "{}", "ToolError: there is no such town"),
        (
            "promise",
            "{}",
            "bad_result: the server promises structured results, and sent none",
        ),
        (
            "huge",
            r#"{"a":2}"#,
            "bad_result: the result is larger than 1048576 bytes",
        ),
    ] {
        let result = executor.call(&format!("good__{name}"), arguments).await;
        assert_eq!(error_of(&result), said);
    }
    let picture = executor.call("good__picture", "{}").await;
    let files: Vec<_> = picture
        .artefacts
        .iter()
        .map(|file| {
            (
                file.name.as_str(),
                file.media_type.as_str(),
                file.data.as_slice(),
            )
        })
        .collect();
    assert_eq!(
        files,
        [
            ("file-1.png", "image/png", &b"\x89PNG"[..]),
            ("data.bin", "application/octet-stream", &[0, 1]),
        ]
    );
}

#[tokio::test]
async fn over_mcp_a_servers_tools_are_served_on_with_what_it_says_of_them() {
    let executor = mounted(&[]).await;
    let mut mcp = Mcp::start(&executor.socket).await;
    let listed = mcp.ask("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let of = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap();
    assert_eq!(
        of("good__add")["annotations"],
        json!({"readOnlyHint": true})
    );
    assert_eq!(of("good__promise")["outputSchema"]["type"], "object");
    let sum = mcp.call("good__add", json!({"a": 1, "b": 2})).await;
    assert_eq!(sum["structuredContent"], json!({"sum": 3}));
    let failed = mcp.call("good__fail", json!({})).await;
    assert_eq!(text(&failed), "exception: ToolError: there is no such town");
}

#[tokio::test]
async fn a_snippet_calls_a_servers_tools_when_they_are_approved() {
    let (executor, _room) = mounted_with("[mcp.good]\napproval = \"auto\"\n", &[]).await;
    let client = executor.client().await;
    let code = ipc::proto::RunCode {
        code: "good__add(2, 3)['sum'] + 1".to_owned(),
        ..<_>::default()
    };
    let mut run = client
        .call(Body::RunCode(code), Meta::default())
        .await
        .unwrap();
    assert_eq!(end_of(&mut run).await.result, "6");
}

#[tokio::test]
async fn a_server_sees_neither_files_nor_variables_nor_networks_at_any_level() {
    let secret = tempfile::Builder::new()
        .prefix("cs-secret-")
        .tempdir_in("/tmp")
        .unwrap();
    let file = secret.path().join("s");
    std::fs::write(&file, "secret").unwrap();
    for path in [secret.path(), &file] {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, all).unwrap();
    }
    for level in LEVELS {
        let executor = mounted(&["--isolation", level]).await;
        for path in [
            file.to_str().unwrap(),
            "/etc/passwd",
            "/proc/1/environ",
            "/etc/hostname",
        ] {
            let told = value(&executor, "read", json!({"text": path})).await;
            assert!(told.get("refused").is_some(), "{level} {path}: {told}");
        }
        for path in [
            file.to_str().unwrap(),
            "/tmp/cs-written",
            "/usr/cs-written",
            "/cs-written",
        ] {
            let told = value(&executor, "write", json!({"text": path})).await;
            assert!(told.get("refused").is_some(), "{level} {path}: {told}");
        }
        for kind in ["tcp", "udp", "unix"] {
            let told = value(&executor, "connect", json!({"text": kind})).await;
            assert_eq!(
                told,
                json!({"refused": "PermissionError"}),
                "{level} {kind}"
            );
        }
        let variables = value(&executor, "environment", json!({})).await;
        let names: Vec<&String> = variables.as_object().unwrap().keys().collect();
        for name in names {
            assert!(
                ["PATH", "LANG", "HOME", "TMPDIR", "LC_CTYPE"].contains(&name.as_str()),
                "{name}"
            );
        }
        let own = value(&executor, "write", json!({"text": "mine"})).await;
        assert_eq!(own, json!({"did": 1}), "{level}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret");
    }
}

#[tokio::test]
async fn what_a_servers_policy_grants_it_has_and_no_more() {
    let given = tempfile::Builder::new()
        .prefix("cs-given-")
        .tempdir_in("/tmp")
        .unwrap();
    let everyone = |path: &Path| {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, all).unwrap();
    };
    everyone(given.path());
    for name in ["read", "write"] {
        std::fs::create_dir(given.path().join(name)).unwrap();
        std::fs::write(given.path().join(name).join("f"), "mine").unwrap();
        everyone(&given.path().join(name));
    }
    let at = |path: &str| given.path().join(path).to_str().unwrap().to_owned();
    let policy = format!(
        "[mcp.good]\nread = [{:?}]\nwrite = [{:?}]\nenvironment = [\"CS_GIVEN\"]\n",
        at("read"),
        at("write")
    );
    for level in LEVELS {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("policy.toml");
        std::fs::write(&file, &policy).unwrap();
        let good = server("good", "good");
        let executor = Executor::start_by("", |command| {
            command.args(["--isolation", level, "--mcp-server", &good, "--policy"]);
            command
                .arg(&file)
                .env("CS_GIVEN", "yes")
                .env("CS_NOT", "no");
        })
        .await;
        let read = value(&executor, "read", json!({"text": at("read/f")})).await;
        assert_eq!(read, json!({"did": "mine"}), "{level}");
        for path in [at("read/new"), at("new")] {
            let told = value(&executor, "write", json!({"text": path})).await;
            assert!(told.get("refused").is_some(), "{level} {path}: {told}");
        }
        let written = value(
            &executor,
            "write",
            json!({"text": at(&format!("write/{level}"))}),
        )
        .await;
        assert_eq!(written, json!({"did": 1}), "{level}");
        let variables = value(&executor, "environment", json!({})).await;
        assert_eq!(
            (&variables["CS_GIVEN"], variables.get("CS_NOT")),
            (&json!("yes"), None)
        );
    }
}

#[tokio::test]
async fn a_server_has_the_memory_and_the_processes_that_its_policy_says() {
    let policy = "[mcp.good]\nmemory_mib = 200\nprocesses = 8\n";
    let (executor, _room) = mounted_with(policy, &["--isolation", "full"]).await;
    let some = value(&executor, "memory", json!({"a": 50})).await;
    assert_eq!(some, json!({"did": 50 << 20}));
    let much = value(&executor, "memory", json!({"a": 300})).await;
    assert_eq!(much, json!({"refused": "MemoryError"}));
    let started = value(&executor, "children", json!({"a": 20})).await;
    let started = started["did"].as_u64().unwrap();
    assert!((1..8).contains(&started), "{started}");
}

#[tokio::test]
async fn progress_and_cancelling_go_through_and_the_server_lives_on() {
    let executor = mounted(&["--max-calls", "1"]).await;
    let pid = value(&executor, "where", json!({})).await["pid"].clone();
    let client = executor.client().await;
    let mut waiting = client
        .call(call("good__wait", "{}"), Meta::default())
        .await
        .unwrap();
    let mut told = Vec::new();
    while told
        .last()
        .is_none_or(|(fraction, _)| *fraction < Some(0.75))
    {
        match waiting.next().await.unwrap().unwrap() {
            Body::Delta(delta) => {
                told.extend(delta.progress.map(|one| (one.fraction, one.message)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told.last().unwrap(), &(Some(0.75), "step 3".to_owned()));
    // There is one place, and who hangs up gives it back.
    drop(waiting);
    assert_eq!(value(&executor, "where", json!({})).await["pid"], pid);
}

#[tokio::test]
async fn a_change_of_its_tools_is_honoured_and_told() {
    let executor = mounted(&[]).await;
    let mut mcp = Mcp::start(&executor.socket).await;
    assert!(!has(&executor.list().await, "good__late"));
    mcp.call("good__change", json!({})).await;
    mcp.notification("notifications/tools/list_changed").await;
    assert_eq!(
        text(&mcp.call("good__late", json!({})).await),
        "late indeed"
    );
}

#[tokio::test]
async fn a_configuration_file_of_other_clients_is_read() {
    let room = tempfile::tempdir().unwrap();
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mcp_server.py");
    let file = room.path().join("mcp.json");
    let good = json!({"command": "/usr/bin/python3", "args": [script], "env": {"TOWN": "Ghent"}});
    std::fs::write(&file, json!({"mcpServers": {"good": good}}).to_string()).unwrap();
    let executor = Executor::start_with(&[], &["--mcp-config", file.to_str().unwrap()]).await;
    let variables = value(&executor, "environment", json!({})).await;
    assert_eq!(variables["TOWN"], "Ghent");
    std::fs::write(
        &file,
        r#"{"mcpServers": {"far": {"url": "https://example.com/mcp"}}}"#,
    )
    .unwrap();
    let output = common::command()
        .args(["--mcp-config", file.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("far is reached by HTTP"), "{said}");
}
