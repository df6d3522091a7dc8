//! `run_code`: a snippet of Python that a model wrote, with the tools as functions in it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use ipc::{
    Status,
    proto::{RunCode, ToolCall, ToolRequest, ToolResult},
    server::{Answer, Request},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Tooling, Used, listener::ToClient};
use crate::{
    broker::Broker,
    call::{End, Listener, Stream},
    catalogue::{Catalogue, Entry},
    executor::Origin,
    outcome,
    protocol::work::{Note, Question, Refused, Work},
    sandbox::Limits,
    sessions::NEW,
};

/// What a result of a snippet has for its name.
const NAME: &str = "run_code";
/// Bytes of a snippet.
const MAX_CODE: usize = 1 << 20;
/// Calls of tools in one snippet. The time of each does not count as the snippet's, so there has to be an end of them.
const MOST_CALLS: u32 = 1000;

impl Tooling {
    pub(super) async fn run_code(
        &self,
        code: &RunCode,
        request: &Request,
        answer: &Answer,
    ) -> Result<(ToolResult, Option<Used>), Status> {
        if code.code.len() > MAX_CODE {
            return Err(Status::invalid_argument(format!(
                "the snippet is longer than {MAX_CODE} bytes"
            )));
        }
        let catalogue = self.catalogue();
        let work = Work::Code {
            code: code.code.clone(),
            tools: catalogue.declarations().to_owned(),
            stay: !code.session.is_empty() && !code.end_session,
        };
        let (claim, held) = match code.session.as_str() {
            "" => (None, None),
            NEW => (Some(self.sessions.begin()?), None),
            id => {
                let (claim, child) = self.sessions.go_on(id)?;
                (Some(claim), Some(child))
            }
        };
        let (place, queue_us) = match self.place(request).await {
            Ok(place) => place,
            Err(status) => {
                // It can be gone on with when there is a place.
                if let (Some(claim), Some(child)) = (claim, held) {
                    claim.put_back(child);
                }
                return Err(status);
            }
        };
        let profile = match claim {
            Some(_) => &self.executor.session,
            None => &self.executor.snippet,
        };
        let taken = match held {
            Some(child) => (child, Origin::Session),
            None => self
                .executor
                .take(profile)
                .await
                .map_err(|error| super::not_run(&error))?,
        };
        let (mut child, origin) = taken;
        let listener = Snippet {
            tooling: self,
            catalogue: &catalogue,
            client: ToClient {
                answer,
                broker: Broker::new(&profile.policy.network),
            },
            request,
            decides: code.decides,
            calls: AtomicU32::new(0),
        };
        let bounds = self.bounds(&profile.policy, request);
        let finished =
            crate::call::run(&mut child, &work, bounds, &request.cancelled, &listener).await;
        let session = claim.as_ref().map(|claim| claim.id.clone());
        // After an exception, too, there is a session to go on with.
        let lives = matches!(finished.end, End::Result(_) | End::Failure(_))
            && !child.channel.is_silent()
            && !child.process.is_over();
        let used = match claim {
            Some(claim) if lives && !code.end_session => {
                claim.put_back(child);
                drop(place);
                self.executor.spares.refill(&self.executor, profile);
                None
            }
            _ => Some(Used {
                child,
                profile: profile.clone(),
                place: Some(place),
                stuck: finished.stuck,
            }),
        };
        if matches!(finished.end, End::Cancelled) {
            if let Some(used) = used {
                self.see_off(used);
            }
            return Err(request.stop_status());
        }
        let result = ToolResult {
            queue_us,
            start: origin.name().to_owned(),
            session: session.unwrap_or_default(),
            ..self.conclude(NAME, &code.call_id, &profile.policy, finished)
        };
        Ok((result, used))
    }

    /// Runs a tool that a snippet calls. It has no place of its own: the snippet waits, and has one.
    async fn call_nested(
        &self,
        entry: &Entry,
        arguments: String,
        request: &Request,
        answer: &Answer,
    ) -> Result<Value, (String, String)> {
        if let Some(mounted) = &entry.mounted {
            let wall = self.bounds(&entry.profile.policy, request).wall;
            let done = mounted.call(&arguments, wall, request, answer).await;
            let (done, _) = done.map_err(|no| ("cancelled".to_owned(), no.to_string()))?;
            return match done.error {
                None => serde_json::from_str(&done.result)
                    .map_err(|error| ("bad_result".to_owned(), error.to_string())),
                Some(error) => Err((error.r#type, error.message)),
            };
        }
        let work = Work::Call {
            name: entry.tool.name.clone(),
            arguments,
        };
        let lost = |error: std::io::Error| ("zygote_lost".to_owned(), error.to_string());
        let bounds = self.bounds(&entry.profile.policy, request);
        let client = ToClient {
            answer,
            broker: Broker::new(&entry.profile.policy.network),
        };
        let (mut child, _) = self.executor.take(&entry.profile).await.map_err(lost)?;
        let finished =
            crate::call::run(&mut child, &work, bounds, &request.cancelled, &client).await;
        self.see_off(Used {
            child,
            profile: entry.profile.clone(),
            place: None,
            stuck: finished.stuck,
        });
        let (outcome, result, error) =
            outcome::words(&finished, &Limits::of(&entry.profile.policy));
        match error {
            None => serde_json::from_str(&result)
                .map_err(|error| ("bad_result".to_owned(), error.to_string())),
            Some(error) if outcome == "exception" => Err((error.r#type, error.message)),
            Some(error) => Err((outcome.to_owned(), error.message)),
        }
    }
}

/// Who hears a snippet, and runs the tools that it calls.
struct Snippet<'a> {
    tooling: &'a Tooling,
    catalogue: &'a Arc<Catalogue>,
    client: ToClient<'a>,
    request: &'a Request,
    decides: bool,
    calls: AtomicU32,
}

#[derive(Deserialize)]
struct Wanted {
    name: String,
    arguments: Value,
}

impl Snippet<'_> {
    async fn answer(&self, question: &Question) -> Result<Value, (String, String)> {
        let refuse = |kind: &str, message: String| Err((kind.to_owned(), message));
        let wanted: Wanted = match serde_json::from_str(&question.payload) {
            Ok(wanted) if question.kind == "tool" => wanted,
            _ => return refuse("ValueError", "this is no call of a tool".to_owned()),
        };
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if number >= MOST_CALLS {
            let message = format!("a snippet calls at most {MOST_CALLS} tools");
            return refuse("PermissionError", message);
        }
        let Some(entry) = self.catalogue.find(&wanted.name) else {
            return refuse("LookupError", format!("there is no tool {:?}", wanted.name));
        };
        let arguments = wanted.arguments.to_string();
        if let Err(message) = entry.check(&arguments) {
            return refuse("InvalidArguments", message);
        }
        if !self.decides {
            if !entry.runs_unasked() {
                let message = format!(
                    "{} was not approved: its policy does not say approval auto, and the client does not decide",
                    wanted.name
                );
                return refuse("PermissionError", message);
            }
            return self.run(entry, arguments).await;
        }
        let question = ToolRequest {
            kind: "call".to_owned(),
            call: Some(ToolCall {
                id: format!("snippet_{number}"),
                name: wanted.name.clone(),
                arguments: arguments.clone(),
            }),
            ..ToolRequest::default()
        };
        let decision = match self.client.answer.ask(question).await {
            Ok(decision) => decision,
            Err(status) => return refuse("PermissionError", status.to_string()),
        };
        match decision.verdict.as_str() {
            "allow" => self.run(entry, arguments).await,
            "result" => serde_json::from_str(&decision.result)
                .map_err(|error| ("ValueError".to_owned(), error.to_string())),
            _ if decision.reason.is_empty() => refuse(
                "PermissionError",
                format!("{} was not approved", wanted.name),
            ),
            _ => refuse(
                "PermissionError",
                format!("{} was not approved: {}", wanted.name, decision.reason),
            ),
        }
    }

    async fn run(&self, entry: &Entry, arguments: String) -> Result<Value, (String, String)> {
        self.tooling
            .call_nested(entry, arguments, self.request, self.client.answer)
            .await
    }
}

impl Listener for Snippet<'_> {
    fn output(&self, stream: Stream, text: &str) {
        self.client.output(stream, text);
    }

    fn note(&self, note: Note) {
        self.client.note(note);
    }

    async fn ask(&self, question: Question) -> String {
        let answer = match self.answer(&question).await {
            Ok(value) => json!({ "ok": value }),
            Err((kind, message)) => json!({"error": {"type": kind, "message": message}}),
        };
        answer.to_string()
    }

    async fn connect(&self, address: String) -> Result<std::os::fd::OwnedFd, Refused> {
        self.client.connect(address).await
    }
}
