//! Where attacks are made: an executor with the attacks as its tools, and around it what they would like to reach.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]

pub mod planted;
pub mod table;

use std::{
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use ipc::{
    client::Client,
    proto::{Meta, RunCode, ToolResult, frame::Body},
};
use planted::Planted;
use table::Attack;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::common::{Executor, ended};

/// Attacks at once.
const AT_ONCE: usize = 8;
/// Longer than any attack may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);
/// A user that owns nothing, by custom.
pub const NOBODY: u32 = 65534;

pub fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

pub struct Arena {
    pub executor: Arc<Executor>,
    pub planted: Planted,
}

impl Arena {
    pub async fn open(level: &str, more: impl FnOnce(&mut Command)) -> Self {
        let room = tempfile::Builder::new()
            .prefix("cs-arena-")
            .tempdir_in("/tmp")
            .unwrap();
        // Who the tools are outside of the sandbox.
        let owner = (is_root() && level == "full").then_some(NOBODY);
        let tools = room.path().join("tools");
        std::fs::create_dir(&tools).unwrap();
        for entry in std::fs::read_dir(attacks()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ext| ext == "py") {
                std::fs::copy(&path, tools.join(path.file_name().unwrap())).unwrap();
            }
        }
        let mut command = command(room.path(), &tools, level);
        command.process_group(0);
        more(&mut command);
        let planted = Planted::plant(owner, room.path(), &tools);
        std::fs::set_permissions(room.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let process = command.spawn().unwrap();
        planted.tell(process.id());
        let socket = room.path().join("s");
        let executor = Executor {
            process,
            socket,
            room,
        };
        executor.client().await;
        Self {
            executor: Arc::new(executor),
            planted,
        }
    }

    /// Makes them all, some at a time; gives what was seen of each.
    pub async fn fight(&self, attacks: &[Attack]) -> Vec<(Attack, String)> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut fights = JoinSet::new();
        for attack in attacks.iter().cloned() {
            let (places, executor) = (places.clone(), self.executor.clone());
            fights.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                let seen = match tokio::time::timeout(PATIENCE, make(&executor, &attack)).await {
                    Ok(seen) => seen,
                    Err(_) => "the executor does not answer".to_owned(),
                };
                (attack, seen)
            });
        }
        let mut all = fights.join_all().await;
        all.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        all
    }
}

/// One attack, in a word or two.
async fn make(executor: &Executor, attack: &Attack) -> String {
    let result = match &attack.code {
        None => executor.try_call(&attack.name, "{}", Meta::default()).await,
        Some(code) => {
            let client = executor.client().await;
            ended(&mut snippet(&client, code, "").await).await
        }
    };
    match result {
        Ok(result) => words(&result),
        Err(status) => format!("refused: {status:?}"),
    }
}

pub async fn snippet(client: &Client, code: &str, session: &str) -> ipc::client::Call {
    let body = Body::RunCode(RunCode {
        code: code.to_owned(),
        session: session.to_owned(),
        ..RunCode::default()
    });
    client.call(body, Meta::default()).await.unwrap()
}

pub fn words(result: &ToolResult) -> String {
    let printed = if result.stderr.contains("escaped") {
        " and printed: escaped"
    } else {
        ""
    };
    match &result.error {
        None => format!("{}: {}{printed}", result.outcome, cut(&result.result)),
        Some(error) => format!(
            "{}: {}: {}{printed}",
            result.outcome,
            error.r#type,
            cut(&error.message)
        ),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(160).collect()
}

pub fn attacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks")
}

fn command(room: &Path, tools: &Path, level: &str) -> Command {
    let mut command = crate::common::command();
    command
        .arg("--socket")
        .arg(room.join("s"))
        .arg("--tools")
        .arg(tools)
        .args(["--isolation", level, "--wall-ms", "4000", "--cpu-s", "2"])
        .env(planted::VARIABLE, planted::SECRET)
        .current_dir("/");
    command
}
