//! Frames ↔ executor: answers `list_tools`, `call_tool`, `run_code` and `health`.

mod listener;
mod run_code;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ipc::{
    Status,
    proto::{CallTool, HealthReport, ToolError, ToolResult, Tools, frame::Body},
    server::{Answer, Request, ServerInfo, Service, Stranger},
};
use listener::ToClient;
use tokio::sync::watch;

use crate::{
    broker::Broker,
    call::{self, Bounds, End, Finished, GOING},
    catalogue::Catalogue,
    executor::Executor,
    mcp,
    mount::{self, Server},
    outcome,
    places::{Place, Places},
    policy::Policy,
    profile::Profile,
    protocol::work::Work,
    sandbox::{Limits, ablation},
    sessions::Sessions,
    supervisor::Child,
};

/// The bodies that this service answers.
const METHODS: [&str; 3] = ["list_tools", "call_tool", "run_code"];

const HELP: &str = r#"python-executor runs tools, each call in a confined process of its own.

One JSON object a line, for instance:
  {"id":1,"list_tools":{}}
  {"id":3,"call_tool":{"name":"convert_units","arguments":{"value":12,"from_unit":"km","to_unit":"miles"}}}
  {"id":3,"cancel":{}}
  {"id":5,"run_code":{"code":"sum(range(10))"}}
The answer to call_tool is delta* (what the tool prints), then tool_result, whose outcome says how the call ended; or
error, when there is no such tool. In run_code's snippets the tools are functions; with "decides":true each call of one
is asked about (tool_request), without it only tools whose policy says approval auto run. With "session":"new" the
result tells a session's id, with which later snippets go on.
A connection whose first line is a JSON-RPC message speaks MCP instead, a message a line.
"#;

/// Serves the tools of one directory.
pub(crate) struct Tooling {
    pub(crate) executor: Arc<Executor>,
    /// The tools as they are now; who serves them hears of changes.
    pub(crate) catalogue: watch::Sender<Arc<Catalogue>>,
    pub(crate) places: Arc<Places>,
    pub(crate) sessions: Sessions,
    pub(crate) servers: Vec<Arc<Server>>,
}

/// What the server says of itself.
pub(crate) fn info() -> ServerInfo {
    ServerInfo {
        name: "python-executor".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        help: HELP.to_owned(),
        methods: METHODS.to_vec(),
        ..ServerInfo::default()
    }
}

/// How long a call that is alone is waited for awake: a quick one has answered before anybody could be woken.
const AT_ONCE: Duration = Duration::from_micros(200);

/// A child that was used. To make another takes the machine's time, so that the answer goes first.
struct Used {
    child: Child,
    profile: Arc<Profile>,
    place: Option<Place>,
    /// It cannot be killed.
    stuck: bool,
}

impl Tooling {
    /// The tools as they are now.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.borrow().clone()
    }

    /// Shows the servers' tools as they are now.
    pub(crate) fn publish(&self) {
        self.catalogue.send_modify(|catalogue| {
            *catalogue = Arc::new(catalogue.with_servers(&self.servers));
        });
    }

    async fn call(
        &self,
        call: &CallTool,
        request: &Request,
        answer: &Answer,
    ) -> Result<(ToolResult, Option<Used>), Status> {
        let catalogue = self.catalogue();
        let Some(entry) = catalogue.find(&call.name) else {
            return Err(unknown(&call.name, &catalogue));
        };
        let policy = &entry.profile.policy;
        let arguments = if call.arguments.trim().is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        if let Err(message) = entry.check(arguments) {
            return Ok((self.refused(call, "invalid_arguments", message), None));
        }
        let work = Work::Call {
            name: call.name.clone(),
            arguments: arguments.to_owned(),
        };
        let (place, queue_us) = self.place(request).await?;
        if let Some(mounted) = &entry.mounted {
            let wall = self.bounds(policy, request).wall;
            let (done, used) = mounted.call(arguments, wall, request, answer).await?;
            let result = ToolResult {
                queue_us,
                ..self.told_by_server(call, done, used)
            };
            return Ok((result, None));
        }
        let taken = self.executor.take(&entry.profile).await;
        let (mut child, origin) = taken.map_err(|error| not_run(&error))?;
        let listener = ToClient {
            answer,
            broker: Broker::new(&policy.network),
        };
        let bounds = self.bounds(policy, request);
        let finished = call::run(&mut child, &work, bounds, &request.cancelled, &listener).await;
        let used = Used {
            child,
            profile: entry.profile.clone(),
            place: Some(place),
            stuck: finished.stuck,
        };
        if matches!(finished.end, End::Cancelled) {
            self.see_off(used);
            return Err(request.stop_status());
        }
        let result = ToolResult {
            queue_us,
            start: origin.name().to_owned(),
            ..self.conclude(&call.name, &call.call_id, policy, finished)
        };
        Ok((result, Some(used)))
    }

    /// A place to run in, and how long it was waited for.
    async fn place(&self, request: &Request) -> Result<(Place, u32), Status> {
        let waits = Instant::now();
        tokio::select! {
            place = self.places.take(request.client) => Ok((place?, micros(waits.elapsed()))),
            () = request.cancelled.cancelled() => Err(request.stop_status()),
        }
    }

    /// What a piece of work may take, given what its client is ready to wait.
    fn bounds(&self, policy: &Policy, request: &Request) -> Bounds {
        let left = request.deadline.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(tokio::time::Instant::now())
        });
        let wall = if ablation::off("wall clock") {
            Duration::from_hours(1)
        } else {
            Duration::from_millis(policy.wall_ms)
        };
        Bounds {
            wall: wall.min(left),
            output: policy.output(),
            // Beside others it would take their time.
            watched: if self.places.running() == 1 {
                AT_ONCE
            } else {
                Duration::ZERO
            },
        }
    }

    /// Waits, beside everything else, until a used child is gone, and has another made in its place.
    fn see_off(&self, used: Used) {
        let executor = self.executor.clone();
        if used.stuck {
            executor.supervisor.retire(&used.child.zygote);
        }
        tokio::spawn(async move {
            executor.spares.refill(&executor, &used.profile);
            executor.release(used.child, GOING).await;
            drop(used.place);
        });
    }

    async fn answer(&self, done: Result<(ToolResult, Option<Used>), Status>, answer: Answer) {
        match done {
            Ok((result, used)) => {
                answer.finish(Body::ToolResult(result));
                if let Some(used) = used {
                    // First the answer is written.
                    tokio::task::yield_now().await;
                    self.see_off(used);
                }
            }
            Err(status) => answer.fail(status),
        }
    }

    fn conclude(
        &self,
        name: &str,
        call_id: &str,
        policy: &Policy,
        finished: Finished,
    ) -> ToolResult {
        let fit = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let (outcome, result, error) = outcome::words(&finished, &Limits::of(policy));
        ToolResult {
            outcome: outcome.to_owned(),
            result,
            error,
            stdout: finished.stdout,
            stderr: finished.stderr,
            truncated: finished.truncated,
            wall_us: micros(finished.wall),
            cpu_us: finished.used.map_or(0, |used| fit(used.cpu_us)),
            max_rss_kib: finished.used.map_or(0, |used| fit(used.max_rss_kib)),
            isolation: Some(self.executor.supervisor.protection.report()),
            name: name.to_owned(),
            call_id: call_id.to_owned(),
            artefacts: finished.artefacts,
            ..ToolResult::default()
        }
    }

    /// What a server's tool did.
    fn told_by_server(
        &self,
        call: &CallTool,
        done: mount::Answer,
        used: mount::Used,
    ) -> ToolResult {
        ToolResult {
            outcome: done.outcome.to_owned(),
            result: done.result,
            error: done.error,
            wall_us: micros(used.wall),
            cpu_us: micros(used.cpu),
            isolation: Some(self.executor.supervisor.protection.report()),
            name: call.name.clone(),
            call_id: call.call_id.clone(),
            artefacts: done.files,
            start: "server".to_owned(),
            ..ToolResult::default()
        }
    }

    /// A result of a call that was not run.
    fn refused(&self, call: &CallTool, outcome: &str, message: String) -> ToolResult {
        ToolResult {
            outcome: outcome.to_owned(),
            error: Some(ToolError {
                r#type: outcome.to_owned(),
                message,
                traceback: String::new(),
            }),
            isolation: Some(self.executor.supervisor.protection.report()),
            name: call.name.clone(),
            call_id: call.call_id.clone(),
            ..ToolResult::default()
        }
    }
}

fn not_run(error: &std::io::Error) -> Status {
    Status::internal(format!("the call could not be run: {error}"))
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn unknown(name: &str, catalogue: &Catalogue) -> Status {
    let names: Vec<String> = catalogue
        .tools()
        .into_iter()
        .map(|tool| tool.name)
        .collect();
    let known = if names.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    Status::not_found(format!("there is no tool {name:?}; {known}"))
        .with_hint("list_tools shows them with their parameters")
}

impl Service for Tooling {
    async fn handle(self: Arc<Self>, request: Request, answer: Answer) {
        match &request.body {
            Body::ListTools(_) => {
                let catalogue = self.catalogue();
                answer.finish(Body::Tools(Tools {
                    tools: catalogue.tools(),
                    problems: catalogue.problems.clone(),
                    details: catalogue.details(),
                }));
            }
            Body::CallTool(call) => {
                let done = self.call(call, &request, &answer).await;
                self.answer(done, answer).await;
            }
            Body::RunCode(code) => {
                let done = self.run_code(code, &request, &answer).await;
                self.answer(done, answer).await;
            }
            _ => answer.fail(Status::unimplemented(
                "this server answers list_tools, call_tool and run_code",
            )),
        }
    }

    fn health(&self) -> HealthReport {
        let isolation = self.executor.supervisor.protection.report();
        let catalogue = self.catalogue();
        let details = [
            ("tools", catalogue.tools().len().to_string()),
            ("problems", catalogue.problems.len().to_string()),
            ("running", self.places.running().to_string()),
            ("waiting", self.places.waiting().to_string()),
            ("spares", self.executor.spares.waiting().to_string()),
            ("sessions", self.sessions.open().to_string()),
            ("max_calls", self.places.most.to_string()),
            ("isolation", isolation.level),
            ("isolation_active", isolation.active.join(", ")),
            ("isolation_missing", isolation.missing.join(", ")),
        ];
        HealthReport {
            status: "SERVING".to_owned(),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..HealthReport::default()
        }
    }

    fn strangers(&self) -> Option<fn(&[u8]) -> bool> {
        Some(mcp::is_its)
    }

    async fn take_over(self: Arc<Self>, stranger: Stranger) {
        mcp::on_socket(self, stranger).await;
    }
}
