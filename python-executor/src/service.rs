//! Frames ↔ executor: answers `list_tools`, `call_tool` and `health`.

use std::{sync::Arc, time::Duration};

use ipc::{
    Status,
    proto::{CallTool, Delta, HealthReport, ToolError, ToolResult, Tools, frame::Body},
    server::{Answer, Request, ServerInfo, Service},
};
use tokio::time::Instant;

use crate::{
    call::{End, Executor, Finished, Stream},
    catalogue::{Catalogue, Entry},
    outcome,
    places::Places,
    protocol::CallTask,
    sandbox::{self, Limits},
};

/// The bodies that this service answers.
const METHODS: [&str; 2] = ["list_tools", "call_tool"];

const HELP: &str = r#"python-executor runs tools, each call in a confined process of its own.

One JSON object a line, for instance:
  {"id":1,"list_tools":{}}
  {"id":3,"call_tool":{"name":"convert_units","arguments":{"value":12,"from_unit":"km","to_unit":"miles"}}}
  {"id":3,"cancel":{}}
The answer to call_tool is delta* (what the tool prints), then tool_result, whose outcome says how the call ended; or
error, when there is no such tool.
"#;

/// Serves the tools of one directory.
pub(crate) struct Tooling {
    pub(crate) executor: Executor,
    pub(crate) catalogue: Catalogue,
    pub(crate) places: Places,
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

impl Tooling {
    async fn call(
        &self,
        call: &CallTool,
        request: &Request,
        answer: &Answer,
    ) -> Result<ToolResult, Status> {
        let Some(entry) = self.catalogue.find(&call.name) else {
            let names: Vec<String> = self
                .catalogue
                .tools()
                .into_iter()
                .map(|tool| tool.name)
                .collect();
            let known = if names.is_empty() {
                "there are none".to_owned()
            } else {
                format!("there are: {}", names.join(", "))
            };
            return Err(
                Status::not_found(format!("there is no tool {:?}; {known}", call.name))
                    .with_hint("list_tools shows them with their parameters"),
            );
        };
        let arguments = if call.arguments.trim().is_empty() {
            "{}"
        } else {
            &call.arguments
        };
        if let Err(message) = entry.check(arguments) {
            return Ok(self.result(call, "invalid_arguments", message));
        }
        let _place = tokio::select! {
            place = self.places.take() => place?,
            () = request.cancelled.cancelled() => return Err(request.stop_status()),
        };
        let finished = self.run(entry, call, arguments, request, answer).await;
        let finished = finished
            .map_err(|error| Status::internal(format!("the call could not be run: {error}")))?;
        if matches!(finished.end, End::Cancelled) {
            return Err(request.stop_status());
        }
        Ok(self.conclude(entry, call, finished))
    }

    async fn run(
        &self,
        entry: &Entry,
        call: &CallTool,
        arguments: &str,
        request: &Request,
        answer: &Answer,
    ) -> std::io::Result<Finished> {
        let task = CallTask {
            name: call.name.clone(),
            arguments: arguments.to_owned(),
        };
        let left = request.deadline.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let wall = Duration::from_millis(entry.policy.wall_ms).min(left);
        let output = |stream, text: &str| {
            let text = text.to_owned();
            answer.delta(match stream {
                Stream::Out => Delta {
                    stdout: text,
                    ..Delta::default()
                },
                Stream::Err => Delta {
                    stderr: text,
                    ..Delta::default()
                },
            });
        };
        self.executor
            .run(
                entry.file.clone(),
                Some(task),
                &entry.policy,
                wall,
                &request.cancelled,
                output,
            )
            .await
    }

    fn conclude(&self, entry: &Entry, call: &CallTool, finished: Finished) -> ToolResult {
        let micros = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
        let (outcome, result, error) = outcome::words(&finished, &Limits::of(&entry.policy));
        ToolResult {
            result,
            error,
            stdout: finished.stdout,
            stderr: finished.stderr,
            truncated: finished.truncated,
            wall_us: u32::try_from(finished.wall.as_micros()).unwrap_or(u32::MAX),
            cpu_us: finished.used.map_or(0, |used| micros(used.cpu_us)),
            max_rss_kib: finished.used.map_or(0, |used| micros(used.max_rss_kib)),
            ..self.blank(call, outcome)
        }
    }

    /// A result of a call that was not run.
    fn result(&self, call: &CallTool, outcome: &str, message: String) -> ToolResult {
        ToolResult {
            error: Some(ToolError {
                r#type: outcome.to_owned(),
                message,
                traceback: String::new(),
            }),
            ..self.blank(call, outcome)
        }
    }

    fn blank(&self, call: &CallTool, outcome: &str) -> ToolResult {
        ToolResult {
            outcome: outcome.to_owned(),
            isolation: Some(sandbox::report(self.executor.isolation)),
            name: call.name.clone(),
            call_id: call.call_id.clone(),
            ..ToolResult::default()
        }
    }
}

impl Service for Tooling {
    async fn handle(self: Arc<Self>, request: Request, answer: Answer) {
        match &request.body {
            Body::ListTools(_) => answer.finish(Body::Tools(Tools {
                tools: self.catalogue.tools(),
                problems: self.catalogue.problems.clone(),
                details: self.catalogue.details(),
            })),
            Body::CallTool(call) => match self.call(call, &request, &answer).await {
                Ok(result) => answer.finish(Body::ToolResult(result)),
                Err(status) => answer.fail(status),
            },
            _ => answer.fail(Status::unimplemented(
                "this server answers list_tools and call_tool",
            )),
        }
    }

    fn health(&self) -> HealthReport {
        let isolation = sandbox::report(self.executor.isolation);
        let details = [
            ("tools", self.catalogue.tools().len().to_string()),
            ("problems", self.catalogue.problems.len().to_string()),
            ("running", self.places.running().to_string()),
            ("waiting", self.places.waiting().to_string()),
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
}
