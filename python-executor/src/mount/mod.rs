//! MCP servers of others, mounted: each is a process of its own in a jail of its own, and its tools are called as ours
//! are, by the name `SERVER__TOOL`. Nothing that a server says is trusted: it is bounded, checked, or it is a problem with
//! the server's name.

mod answer;
mod call;
mod ears;
mod process;
mod program;
mod server;
mod spec;
mod talk;

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use answer::Answer;
pub(crate) use call::Used;
pub(crate) use server::Server;
pub(crate) use spec::{Spec, flag, specs};

use crate::{executor::Executor, service::Tooling, start::say};

/// How long those who ask are kept waiting for the servers' first word.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// How long their ends are waited for.
const ENDING: Duration = Duration::from_secs(3);

/// A tool of a server.
#[derive(Clone, Debug)]
pub(crate) struct Mounted {
    pub(crate) server: Arc<Server>,
    /// What the server calls it, and says of it.
    pub(crate) tool: rmcp::model::Tool,
}

/// The servers that the specs name, not started yet.
pub(crate) fn servers(executor: &Executor, specs: Vec<Spec>) -> Vec<Arc<Server>> {
    let named = executor.deployment.named_servers();
    for name in named.filter(|name| !specs.iter().any(|spec| spec.name == *name)) {
        say(&format!(
            "the policy file speaks of {name}, which is no MCP server here"
        ));
    }
    let server = |spec: Spec| {
        let policy = executor.deployment.of_server(&spec.name);
        Arc::new(Server::new(spec, policy))
    };
    specs.into_iter().map(server).collect()
}

/// Servers that are kept going.
pub(crate) struct Running {
    ending: CancellationToken,
    all: JoinSet<()>,
}

impl Running {
    /// Ends them, with all that they started.
    pub(crate) async fn end(self) {
        self.ending.cancel();
        // Each is killed within that time.
        let _ = timeout(ENDING, self.all.join_all()).await;
    }
}

/// Starts the servers and keeps them going.
pub(crate) async fn start(tooling: &Arc<Tooling>) -> Running {
    let ending = CancellationToken::new();
    let mut running = JoinSet::new();
    for server in &tooling.servers {
        running.spawn(server.clone().keep(tooling.clone(), ending.clone()));
    }
    let all = async {
        for server in &tooling.servers {
            server.first_word().await;
        }
    };
    let _ = timeout(FIRST_WORD, all).await;
    Running {
        ending,
        all: running,
    }
}
