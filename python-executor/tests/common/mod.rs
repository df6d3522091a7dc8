//! A running python-executor with tools of the test's own: the real program, socket, interpreter and sandbox.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]

pub mod mcp;
pub mod mounting;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ipc::{
    Status,
    client::{Call, Client},
    proto::{CallTool, Health, ListTools, Meta, ToolResult, Tools, frame::Body},
};

pub struct Executor {
    pub process: Child,
    pub socket: PathBuf,
    pub room: tempfile::TempDir,
}

/// The program, with this checkout's venv and package.
pub fn command() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_python-executor"));
    command
        .env("CALLSPAN_VENV", root.join(".venv"))
        .env("CALLSPAN_PYTHONPATH", root.join("python-executor/python"))
        // So that a test knows whose child a process is, whatever the machine.
        .env("CALLSPAN_ZYGOTES", "1")
        .stdin(Stdio::null());
    command
}

/// The imports that every tool file here needs.
const HEAD: &str = "from callspan import tool\n";

impl Executor {
    /// One file of tools, `tools.py`.
    pub async fn start(tools: &str) -> Self {
        Self::start_with(&[("tools.py", tools)], &[]).await
    }

    pub async fn start_with(files: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::begin(files, |command| _ = command.args(arguments)).await
    }

    /// One file of tools, and the program's command as the test wants it.
    pub async fn start_by(tools: &str, more: impl FnOnce(&mut Command)) -> Self {
        Self::begin(&[("tools.py", tools)], more).await
    }

    async fn begin(files: &[(&str, &str)], more: impl FnOnce(&mut Command)) -> Self {
        let room = tempfile::Builder::new()
            .prefix("cs-")
            .tempdir_in("/tmp")
            .unwrap();
        // Some tests start it as another user.
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(room.path(), all).unwrap();
        let tools = room.path().join("tools");
        std::fs::create_dir(&tools).unwrap();
        for (name, text) in files {
            std::fs::write(tools.join(name), format!("{HEAD}{text}")).unwrap();
        }
        let socket = room.path().join("s");
        let mut command = command();
        command.args([
            "--socket".as_ref(),
            socket.as_os_str(),
            "--tools".as_ref(),
            tools.as_os_str(),
        ]);
        more(&mut command);
        let process = command.spawn().unwrap();
        let executor = Self {
            process,
            socket,
            room,
        };
        executor.client().await;
        executor
    }

    /// A connection, as soon as there can be one.
    pub async fn client(&self) -> Client {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match Client::connect(&self.socket).await {
                Ok(client) => return client,
                Err(error) if Instant::now() > deadline => panic!("no connection: {error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub async fn call(&self, name: &str, arguments: &str) -> ToolResult {
        self.try_call(name, arguments, Meta::default())
            .await
            .unwrap()
    }

    pub async fn try_call(
        &self,
        name: &str,
        arguments: &str,
        meta: Meta,
    ) -> Result<ToolResult, Status> {
        let client = self.client().await;
        ended(&mut client.call(call(name, arguments), meta).await.unwrap()).await
    }

    pub async fn list(&self) -> Tools {
        match self.ask(Body::ListTools(ListTools::default())).await {
            Body::Tools(tools) => tools,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until so many calls wait for a place.
    pub async fn waiting(&self, calls: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.ask(Body::Health(Health::default())).await {
                Body::HealthReport(report)
                    if report.details.get("waiting").is_some_and(|n| n == calls) =>
                {
                    return;
                }
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ask(&self, body: Body) -> Body {
        let client = self.client().await;
        let mut call = client.call(body, Meta::default()).await.unwrap();
        call.next().await.unwrap().unwrap()
    }

    /// The executor's zygotes: in a full jail the only children of its own children, which watch over them.
    pub fn zygotes(&self) -> Vec<i32> {
        let watchers = children_of(self.process.id());
        watchers
            .iter()
            .flat_map(|pid| children_of(*pid as u32))
            .collect()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn call(name: &str, arguments: &str) -> Body {
    Body::CallTool(CallTool {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        call_id: String::new(),
    })
}

/// How a call ends, whatever it prints before.
pub async fn ended(call: &mut Call) -> Result<ToolResult, Status> {
    loop {
        match call.next().await.unwrap()? {
            Body::Delta(_) => {}
            Body::ToolResult(result) => return Ok(result),
            other => panic!("{other:?}"),
        }
    }
}

pub async fn end_of(call: &mut Call) -> ToolResult {
    ended(call).await.unwrap()
}

pub fn children_of(parent: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The one child of a zygote, once those that described the tools are gone.
pub async fn only_child(zygote: i32) -> i32 {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match children_of(zygote as u32)[..] {
            [child] => return child,
            ref others => assert!(Instant::now() < deadline, "{others:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A process's state as `stat` in its directory of `/proc` tells it: R, S, T for stopped …; none of one that is gone.
fn state_of(process: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Whether all threads of a process have stopped, or it is gone.
pub fn rests(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads
        .flatten()
        .all(|thread| matches!(state_of(&thread.path()), Some('T' | 'Z') | None))
}

/// Waits until a process is gone (or only waits to be reaped).
pub async fn gone(pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if matches!(
            state_of(Path::new(&format!("/proc/{pid}"))),
            None | Some('Z')
        ) {
            return;
        }
        assert!(Instant::now() < deadline, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What went wrong with a call that must not have been ok.
pub fn error_of(result: &ToolResult) -> String {
    assert_ne!(result.outcome, "ok", "{result:?}");
    let error = result.error.as_ref().unwrap();
    format!("{}: {}", error.r#type, error.message)
}

/// The processes that fork the children. With namespaces each of them is the first in its own, below a nanny.
pub fn forking(executor: &Executor) -> Vec<i32> {
    let depth = |pid: i32| -> usize {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        line.unwrap_or_default().split_whitespace().count()
    };
    let own = depth(executor.process.id() as i32);
    executor
        .zygotes()
        .into_iter()
        .map(|pid| {
            let below = children_of(pid as u32);
            below
                .into_iter()
                .find(|child| depth(*child) == own + 1)
                .unwrap_or(pid)
        })
        .collect()
}

/// All processes below one, at any depth, that were not only waiting to be reaped.
pub fn descendants(parent: u32) -> Vec<i32> {
    let alive = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty()
            && !stat
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" Z"))
    };
    let below = children_of(parent).into_iter().filter(alive);
    below
        .flat_map(|child| [vec![child], descendants(child as u32)].concat())
        .collect()
}
