//! Executors with an MCP server mounted that does what it is told (`tests/data/mcp_server.py`).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ipc::proto::Tools;
use serde_json::Value;

use super::Executor;

/// The server by hand: as an ordinary program outside of the tools' virtual environment.
pub fn server(name: &str, mode: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mcp_server.py");
    format!("{name}=/usr/bin/python3 {} {mode}", script.display())
}

pub async fn mounted(more: &[&str]) -> Executor {
    let good = server("good", "good");
    let arguments = [&["--mcp-server", good.as_str()], more].concat();
    Executor::start_with(&[], &arguments).await
}

/// With a policy for the server.
pub async fn mounted_with(policy: &str, more: &[&str]) -> (Executor, tempfile::TempDir) {
    let room = tempfile::Builder::new()
        .prefix("cs-p-")
        .tempdir_in("/tmp")
        .unwrap();
    let file = room.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let executor = mounted(&[&["--policy", file.to_str().unwrap()], more].concat()).await;
    (executor, room)
}

/// A result's JSON.
pub async fn value(executor: &Executor, name: &str, arguments: Value) -> Value {
    let result = executor
        .call(&format!("good__{name}"), &arguments.to_string())
        .await;
    assert_eq!(result.outcome, "ok", "{result:?}");
    serde_json::from_str(&result.result).unwrap()
}

pub async fn until(executor: &Executor, wanted: impl Fn(&Tools) -> bool) -> Tools {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let tools = executor.list().await;
        if wanted(&tools) {
            return tools;
        }
        assert!(Instant::now() < deadline, "{tools:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn has(tools: &Tools, name: &str) -> bool {
    tools.tools.iter().any(|tool| tool.name == name)
}

pub fn problems(tools: &Tools) -> Vec<String> {
    let line = |problem: &ipc::proto::ToolProblem| format!("{} {}", problem.file, problem.message);
    tools.problems.iter().map(line).collect()
}
