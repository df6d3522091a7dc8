//! One server's life: it is started, asked for its tools, asked again when it says that they changed, and started again
//! when it ends, after pauses that grow.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipc::proto::ToolProblem;
use rmcp::{
    RoleClient,
    model::{PaginatedRequestParams, Tool},
    service::{Peer, serve_client},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Mounted, Spec,
    ears::{Ears, Hearers},
    process::Process,
    talk::Talk,
};
use crate::{
    catalogue::{Entry, MOUNTED},
    mcp::Lines,
    policy::ServerPolicy,
    profile::Profile,
    service::Tooling,
    start::say,
};

/// Bytes of a message of a server's: a result with its files in base64 and more.
const MAX_LINE: usize = 8 << 20;
/// Tools of a server that are taken.
const MAX_TOOLS: usize = 512;
/// Bytes of all that they say of themselves.
const MAX_DECLARED: usize = 4 << 20;
/// Lines of a server that are no messages before it is given up.
const MAX_RUBBISH: usize = 100;
/// Before the first new start; each pause is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(1);
/// Who lived for so long had only an accident.
const STEADY: Duration = Duration::from_mins(1);

pub(crate) struct Server {
    spec: Spec,
    pub(super) policy: ServerPolicy,
    talk: Arc<Talk>,
    state: Mutex<State>,
    /// It has told its tools, or could not.
    spoken: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// What it told last, which stays while it is started again.
    tools: Vec<Tool>,
    /// Why it does not run.
    down: Option<String>,
    /// What it said that is no message.
    rubbish: Option<String>,
}

/// A server that runs.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) peer: Peer<RoleClient>,
    pub(super) hearers: Hearers,
    pub(super) watcher: Option<u32>,
    stopped: watch::Sender<Option<String>>,
}

impl Session {
    /// Has the server end; the first reason stands.
    pub(super) fn stop(&self, why: &str) {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert_with(|| why.to_owned());
            first
        });
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(spec: Spec, policy: ServerPolicy) -> Self {
        Self {
            talk: Arc::new(Talk::new(&spec.name)),
            spec,
            policy,
            state: Mutex::default(),
            spoken: watch::Sender::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn session(&self) -> Option<Session> {
        self.state().session.clone()
    }

    pub(super) fn why_lost(&self) -> String {
        let why = self.state().down.clone();
        let why = why.unwrap_or_else(|| "it ended in the course of the call".to_owned());
        format!("the server {} is lost: {why}", self.spec.name)
    }

    /// Waits until it has told its tools for the first time, or could not.
    pub(super) async fn first_word(&self) {
        // It is part of the server, so that it is not closed.
        let _ = self.spoken.subscribe().wait_for(|spoken| *spoken).await;
    }

    /// Where its problems and tools are said to come from.
    fn place(&self) -> String {
        format!("{MOUNTED}{}", self.spec.name)
    }

    /// Its tools as entries, and what is wrong with it and them.
    pub(crate) fn entries(self: &Arc<Self>) -> (Vec<Entry>, Vec<ToolProblem>) {
        let state = self.state();
        let place = self.place();
        let problem = |message: String| ToolProblem {
            file: place.clone(),
            message,
        };
        let mut problems: Vec<ToolProblem> = [&state.down, &state.rubbish]
            .into_iter()
            .flatten()
            .map(|why| problem(why.clone()))
            .collect();
        let profile = Profile::new(None, self.policy.policy.clone());
        let mut entries = Vec::new();
        for tool in &state.tools {
            let name = format!("{}__{}", self.spec.name, tool.name);
            let mounted = Mounted {
                server: self.clone(),
                tool: tool.clone(),
            };
            match Entry::mounted(&place, &profile, name, mounted) {
                Ok(entry) => entries.push(entry),
                Err(why) => problems.push(problem(why)),
            }
        }
        (entries, problems)
    }

    /// Keeps it going until `ending` fires.
    pub(super) async fn keep(self: Arc<Self>, tooling: Arc<Tooling>, ending: CancellationToken) {
        let mut pause = PAUSE;
        while !ending.is_cancelled() {
            let began = Instant::now();
            let why = self.live(&tooling, &ending).await;
            if ending.is_cancelled() {
                return;
            }
            if began.elapsed() > STEADY {
                pause = PAUSE;
            }
            let why = format!("{why}; it is started again after {pause:?}");
            say(&format!("{}: {why}", self.spec.name));
            {
                let mut state = self.state();
                state.session = None;
                state.down = Some(why);
            }
            tooling.publish();
            self.spoken.send_replace(true);
            tokio::select! {
                () = ending.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Starts it and sees it end. Gives the reason.
    async fn live(self: &Arc<Self>, tooling: &Arc<Tooling>, ending: &CancellationToken) -> String {
        self.talk.forget();
        let started = Process::start(&tooling.executor, &self.spec, &self.policy).await;
        let (mut process, pipes) = match started {
            Ok(started) => started,
            Err(why) => return why,
        };
        let gone = CancellationToken::new();
        let talk = self.talk.clone();
        let listening = tokio::spawn(async move { talk.listen(pipes.errors).await });
        let this = self.clone();
        let publishing = tooling.clone();
        let mut rubbish = 0;
        let lines = Lines::new(pipes.output, pipes.input, MAX_LINE, gone.clone()).with_rubbish(
            move |line: &str| {
                rubbish += 1;
                if rubbish == 1 {
                    let shown: String = line.chars().take(100).collect();
                    let why =
                        format!("it writes what is no message to its standard output: {shown:?}");
                    this.talk.line(&why);
                    this.state().rubbish = Some(why);
                    publishing.publish();
                }
                rubbish < MAX_RUBBISH
            },
        );
        let ears = Ears {
            talk: self.talk.clone(),
            hearers: Hearers::default(),
            relist: Arc::new(Notify::new()),
        };
        let limit = Duration::from_millis(self.policy.policy.wall_ms);
        let why = tokio::select! {
            why = self.talk_with(ears, lines, &process, tooling, limit) => why,
            () = ending.cancelled() => "we end".to_owned(),
        };
        gone.cancel();
        let status = process.end().await;
        // Its last words come before its end.
        let _ = timeout(Duration::from_millis(200), listening).await;
        match (why, status) {
            (why, _) if !why.is_empty() => why,
            (_, Some(status)) => match self.talk.last() {
                Some(words) => format!("it ended with {status}: {words}"),
                None => format!("it ended with {status}"),
            },
            (_, None) => "it ended".to_owned(),
        }
    }

    /// Nothing: it closed its output, and its end tells why.
    async fn talk_with<R, W>(
        self: &Arc<Self>,
        ears: Ears,
        lines: Lines<RoleClient, R, W>,
        process: &Process,
        tooling: &Tooling,
        limit: Duration,
    ) -> String
    where
        R: tokio::io::AsyncRead + Send + Unpin + 'static,
        W: tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let (hearers, relist) = (ears.hearers.clone(), ears.relist.clone());
        let late = || format!("it was stopped: it said nothing of itself within {limit:?}");
        let running = match timeout(limit, serve_client(ears, lines)).await {
            Err(_) => return late(),
            // Most of these are ends.
            Ok(Err(rmcp::service::ClientInitializeError::ConnectionClosed(_))) => {
                return String::new();
            }
            Ok(Err(error)) => return format!("it does not speak MCP as it should: {error}"),
            Ok(Ok(running)) => running,
        };
        let (stopped, mut stopping) = watch::channel(None);
        let session = Session {
            peer: running.peer().clone(),
            hearers,
            watcher: process.pid,
            stopped,
        };
        let peer = session.peer.clone();
        let mut ended = Box::pin(running.waiting());
        loop {
            let tools = tokio::select! {
                tools = timeout(limit, tools(&peer)) => tools,
                _ = &mut ended => return String::new(),
            };
            match tools {
                Err(_) => return late(),
                Ok(Err(why)) => return why,
                Ok(Ok(tools)) => {
                    let level = tooling.executor.supervisor.protection.level.name();
                    let count = tools.len();
                    say(&format!(
                        "{}: {count} tools, isolation {level}",
                        self.spec.name
                    ));
                    let mut state = self.state();
                    state.tools = tools;
                    state.session = Some(session.clone());
                    state.down = None;
                }
            }
            tooling.publish();
            self.spoken.send_replace(true);
            tokio::select! {
                _ = &mut ended => return String::new(),
                () = relist.notified() => {}
                stopped = stopping.wait_for(Option::is_some) => {
                    return stopped.ok().and_then(|why| why.clone()).unwrap_or_default();
                }
            }
        }
    }
}

/// All that it has, page by page.
async fn tools(peer: &Peer<RoleClient>) -> Result<Vec<Tool>, String> {
    let mut tools = Vec::new();
    let mut bytes = 0;
    let mut cursor = None;
    loop {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(params)).await;
        let page = page.map_err(|error| format!("it does not tell its tools: {error}"))?;
        let more = !page.tools.is_empty();
        bytes += serde_json::to_vec(&page.tools).map_or(MAX_DECLARED, |text| text.len());
        if bytes > MAX_DECLARED {
            return Err(format!(
                "it tells its tools in more than {MAX_DECLARED} bytes"
            ));
        }
        tools.extend(page.tools);
        if tools.len() > MAX_TOOLS {
            return Err(format!("it has more than {MAX_TOOLS} tools"));
        }
        cursor = page.next_cursor;
        if cursor.is_none() || !more {
            return Ok(tools);
        }
    }
}
