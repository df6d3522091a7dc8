//! A server on a socket of its own, and a service whose answers the tests can steer.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ipc::{
    listen::Listener,
    proto::{self, HealthReport, ToolDecision, ToolRequest, frame::Body},
    server::{Answer, Request, ServerInfo, Service, serve},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Server {
    pub path: PathBuf,
    pub service: Arc<Steered>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    _dir: TempDir,
}

impl Server {
    /// Needs a runtime.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/test.sock");
        let listener = Listener::bind(&path).unwrap();
        let service = Arc::new(Steered::default());
        let shutdown = CancellationToken::new();
        let info = ServerInfo {
            name: "test".into(),
            version: "0".into(),
            help: "help!".into(),
            methods: vec!["generate", "call_tool", "run_code"],
            max_frame_bytes: 1 << 20,
        };
        let serving = serve(listener, info, service.clone(), shutdown.clone());
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self {
            path,
            service,
            shutdown,
            task,
            _dir: dir,
        }
    }
}

/// Answers `generate` as its prompt says: `count N` streams N words; `hang` waits to be stopped; `deaf` does not even
/// stop; `panic` panics; `forget` drops its answer; `flood N` streams N pieces of 1 KiB without waiting; `ask` asks the
/// client. `call_tool` echoes its arguments; the tool `plot` returns a file of 1 MiB, too. `run_code` asks for each word
/// of the code whether a tool of that name may be called, if its client decides, and gives the verdicts.
#[derive(Default)]
pub struct Steered {
    pub running: AtomicUsize,
    pub stopped: AtomicUsize,
    pub flooded: AtomicUsize,
}

pub fn prompt(prompt: impl Into<String>) -> Body {
    let input = Some(proto::generate::Input::Prompt(prompt.into()));
    Body::Generate(proto::Generate {
        input,
        stream: true,
        ..Default::default()
    })
}

pub fn count(n: usize) -> Body {
    prompt(format!("count {n}"))
}

pub fn text(n: usize) -> String {
    (0..n).fold(String::new(), |text, i| text + &i.to_string() + " ")
}

fn done(content: impl Into<String>) -> Body {
    Body::Done(proto::Done {
        content: content.into(),
        finish_reason: "stop".into(),
        ..Default::default()
    })
}

fn plot() -> proto::Artefact {
    proto::Artefact {
        name: "plot.png".into(),
        media_type: "image/png".into(),
        data: vec![0xff; 1 << 20],
    }
}

fn piece(text: String) -> proto::Delta {
    proto::Delta {
        text,
        ..Default::default()
    }
}

impl Service for Steered {
    async fn handle(self: Arc<Self>, request: Request, answer: Answer) {
        self.running.fetch_add(1, Ordering::SeqCst);
        match &request.body {
            Body::CallTool(call) => answer.finish(Body::ToolResult(proto::ToolResult {
                outcome: "ok".into(),
                result: call.arguments.clone(),
                stderr: request.unknown_fields.join(","),
                artefacts: (call.name == "plot").then(plot).into_iter().collect(),
                ..Default::default()
            })),
            Body::RunCode(run) => {
                let mut verdicts = Vec::new();
                for name in run.code.split_whitespace().filter(|_| run.decides) {
                    let call = proto::ToolCall {
                        name: name.into(),
                        arguments: "{\"x\":\"\u{1b}\"}".into(),
                        ..Default::default()
                    };
                    let ask = ToolRequest {
                        kind: "call".into(),
                        call: Some(call),
                        parent_id: request.id,
                    };
                    verdicts.push(answer.ask(ask).await.unwrap().verdict);
                }
                answer.finish(Body::ToolResult(proto::ToolResult {
                    outcome: "ok".into(),
                    result: format!("{verdicts:?}"),
                    ..Default::default()
                }));
            }
            Body::Generate(proto::Generate {
                input: Some(proto::generate::Input::Prompt(prompt)),
                ..
            }) => {
                let (word, n) = prompt.split_once(' ').unwrap_or((prompt, "0"));
                let n: usize = n.parse().unwrap();
                match word {
                    "count" => {
                        for i in 0..n {
                            answer.delta(piece(format!("{i} ")));
                            tokio::task::yield_now().await;
                        }
                        answer.finish(done(text(n)));
                    }
                    "sleep" => {
                        tokio::time::sleep(Duration::from_millis(n as u64)).await;
                        answer.finish(done("slept"));
                    }
                    "hang" => {
                        request.cancelled.cancelled().await;
                        self.stopped.fetch_add(1, Ordering::SeqCst);
                        answer.fail(request.stop_status());
                    }
                    "deaf" => {
                        tokio::time::sleep(Duration::from_mins(10)).await;
                        drop(answer);
                    }
                    "panic" => panic!("as asked"),
                    "flood" => {
                        for _ in 0..n {
                            answer.delta(piece("~".repeat(1024)));
                            self.flooded.fetch_add(1, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                        }
                        answer.finish(done("flooded"));
                    }
                    "ask" => match answer
                        .ask(ToolRequest {
                            kind: "approval".into(),
                            ..Default::default()
                        })
                        .await
                    {
                        Ok(ToolDecision {
                            verdict, reason, ..
                        }) => answer.finish(done(format!("{verdict}: {reason}"))),
                        Err(status) => answer.fail(status),
                    },
                    _ => drop(answer),
                }
            }
            _ => drop(answer),
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    fn health(&self) -> HealthReport {
        HealthReport {
            status: "SERVING".into(),
            ..Default::default()
        }
    }
}
