//! A server in this process, on a socket of its own, and what its clients wait for.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ipc::{
    Status,
    client::Client,
    listen::Listener,
    program::Failure,
    proto::{Done, Generate, Meta, frame::Body},
};
use rust_inference::{model::Model, scheduler::Capacity, service::Inference};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Server {
    runtime: Runtime,
    socket: PathBuf,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

/// An answer, and how long its first piece and all of it took.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) done: Done,
    pub(super) first: Duration,
    pub(super) whole: Duration,
}

impl Server {
    /// With room for `clients` at once.
    pub(super) fn start(model: Arc<Model>, clients: usize) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("cannot start the server to measure: {error}"), "")
        };
        let socket = std::env::temp_dir().join(format!("callspan-bench-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let capacity = Capacity {
            queue: clients,
            ..Capacity::default()
        };
        let service = Inference::of_one(model, capacity, 1024).map_err(|error| failed(&error))?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let serving = {
            let _in_runtime = runtime.enter();
            let listener = Listener::bind(&socket).map_err(|error| failed(&error))?;
            tokio::spawn(async move {
                let info = Inference::info();
                // What went wrong the clients are told.
                let _ = ipc::server::serve(listener, info, Arc::new(service), stop).await;
            })
        };
        Ok(Self {
            runtime,
            socket,
            shutdown,
            serving,
        })
    }

    pub(super) fn ask(&self, request: Generate) -> Result<Answered, Failure> {
        let mut all = self.ask_at_once(vec![request])?;
        all.pop()
            .ok_or_else(|| Failure::new("nothing was asked", ""))
    }

    /// Each on a connection of its own, which is there before the first is asked.
    pub(super) fn ask_at_once(&self, requests: Vec<Generate>) -> Result<Vec<Answered>, Failure> {
        self.runtime.block_on(async {
            let mut clients = Vec::with_capacity(requests.len());
            for request in requests {
                let client = Client::connect(&self.socket).await;
                let client = client.map_err(|error| Failure::new(error, ""))?;
                clients.push((client, request));
            }
            let asked: Vec<_> = clients
                .into_iter()
                .map(|(client, request)| tokio::spawn(ask(client, request)))
                .collect();
            let mut answers = Vec::with_capacity(asked.len());
            for asked in asked {
                let answer = asked.await.map_err(|error| Failure::new(error, ""))?;
                answers.push(answer.map_err(|status| {
                    Failure::new(format!("a request failed: {}", status.message), "")
                })?);
            }
            Ok(answers)
        })
    }

    pub(super) fn stop(self) {
        self.shutdown.cancel();
        // It ends at once, for nobody is asking; a panic of it the clients were told.
        let _ = self.runtime.block_on(self.serving);
        self.runtime.shutdown_background();
    }
}

async fn ask(client: Client, request: Generate) -> Result<Answered, Status> {
    let since = Instant::now();
    let call = client.call(Body::Generate(request), Meta::default()).await;
    let mut call = call.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut first = None;
    while let Some(body) = call.next().await {
        let at = since.elapsed();
        let first = *first.get_or_insert(at);
        if let Body::Done(done) = body? {
            return Ok(Answered {
                done,
                first,
                whole: at,
            });
        }
    }
    Err(Status::internal("the answer has no end"))
}
