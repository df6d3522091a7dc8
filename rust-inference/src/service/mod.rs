//! Frames ↔ backends: finds the model that a request names, lets its backend answer, and counts what it cost.

mod metrics;
mod models;

use std::{io, sync::Arc};

use ipc::{
    Status,
    proto::{Generate, HealthReport, MetricsReport, frame::Body},
    server::{Answer, Request, ServerInfo, Service},
};
use prometheus_client::metrics::histogram::Histogram;

pub use self::{
    metrics::CONTENT_TYPE as METRICS_TYPE,
    models::{Keeping, Lease, Offer},
};
use self::{metrics::Metrics, models::Models};
use crate::{
    backend::{Backend, Guarantee, Native, Task},
    model::Model,
    scheduler::{Capacity, sharing},
};

/// The bodies that this service answers.
const METHODS: [&str; 5] = ["generate", "embed", "score", "metrics", "models"];

const HELP: &str = r#"rust-inference continues a chat with a small model that can call functions.

One JSON object a line, for instance:
  {"id":1,"health":{}}
  {"id":3,"generate":{"chat":{"messages":[{"role":"user","content":"How many miles is 12 km?"}]},"tools":[{"name":"convert_units","description":"Convert a value from one unit to another","parameters":{"type":"object","properties":{"value":{"type":"number"},"from_unit":{"type":"string"},"to_unit":{"type":"string"}},"required":["value","from_unit","to_unit"]}}],"max_tokens":64,"stream":true}}
  {"id":3,"cancel":{}}
The answer to generate is delta* (with "stream":true), then done; or error.

What generate may say beside:
  "tool_choice"          auto (default), required, none, function:NAME: calls that are made are always valid
  "parallel_tool_calls"  false: one call at most; "max_calls": N at most
  "response_format"      {"type":"json_object"} or {"type":"json_schema","schema":{...}}: JSON instead of prose
  "argument_order"       sorted (default, as in training), declared, any
  "lenient"              true: take schemas as far as they can be guaranteed, and tell what was left out in done.warnings
  "max_tokens", "stop", "sampling" {"temperature","top_k","top_p","min_p","seed"}, "logprobs" 0 to 20
  "model"                one of the server's models; without it the default
  "adapter"              one of the server's adapters, by its name
  "without"              of forced, rows, speculation, prefix: what makes it faster, switched off

What else it answers:
  {"id":5,"embed":{"input":["A text","Another"]}}
      1 to 256 texts; embeddings.vectors[].values are of length 1, unless "normalize" is false
  {"id":7,"score":{"prompt":"<bos>The sky is","completion":" blue","top":3}}
      or a "chat" with "tools", and "completion_ids"; scores has each token's logprob, their sum and count
  {"id":9,"models":{}}
      the models that "model" may name, and their state; {"load":NAME}, {"unload":NAME}, {"reload":NAME} change it
  {"id":11,"metrics":{}}
      what was counted, as Prometheus reads it; --metrics ADDR gives it over HTTP
"#;

/// Serves some models.
#[derive(Debug)]
pub struct Inference {
    models: Arc<Models>,
    metrics: Metrics,
}

impl Inference {
    /// The first model is loaded already, and the default. `sharing` is what the backends that compute here were given.
    pub fn new(
        first: (Offer, Arc<dyn Backend>),
        others: Vec<Offer>,
        keeping: Keeping,
        sharing: Histogram,
    ) -> Self {
        Self {
            models: Arc::new(Models::new(first, others, keeping)),
            metrics: Metrics::new(sharing),
        }
    }

    /// Serves one model, which is there already.
    pub fn of_one(model: Arc<Model>, capacity: Capacity, max_tokens: usize) -> io::Result<Self> {
        let (name, memory_bytes, sharing) = (model.name.clone(), model.bytes(), sharing());
        let native = Native::start(model, capacity, max_tokens, sharing.clone())?;
        let backend: Arc<dyn Backend> = Arc::new(native);
        let same = backend.clone();
        let offer = Offer {
            source: name.clone(),
            name,
            backend: "native",
            remote: false,
            guarantee: Guarantee::Constrained,
            memory_bytes,
            open: Box::new(move || Ok(same.clone())),
        };
        let keeping = Keeping {
            keep_alive: None,
            memory_bytes,
        };
        Ok(Self::new((offer, backend), Vec::new(), keeping, sharing))
    }

    /// Unloads models that nobody has asked for in a while, for as long as it is polled.
    pub async fn tend(&self) {
        self.models.tend().await;
    }

    /// What was counted, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        self.metrics.text(self.models.loads())
    }

    /// What the server says of itself.
    pub fn info() -> ServerInfo {
        ServerInfo {
            name: "rust-inference".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            help: HELP.to_owned(),
            methods: METHODS.to_vec(),
            ..ServerInfo::default()
        }
    }

    /// The answer of the backend of the model that is named, and what the server calls that model.
    async fn answer(&self, mut body: Body, task: &Task) -> (Result<Body, Status>, String) {
        let named = match &mut body {
            Body::Generate(asked) => &mut asked.model,
            Body::Embed(asked) => &mut asked.model,
            Body::Score(asked) => &mut asked.model,
            other => {
                let name = other.name();
                let status = Status::unimplemented(format!("this server does not answer {name}"));
                return (Err(status), String::new());
            }
        };
        let leased = tokio::select! {
            // Whoever waits for a model that is being loaded may give up.
            () = task.request.cancelled.cancelled() => Err(task.request.stop_status()),
            leased = self.models.lease(named) => leased,
        };
        let lease = match leased {
            Ok((lease, inner)) => {
                *named = inner;
                lease
            }
            Err(status) => return (Err(status), String::new()),
        };
        let backend = &lease.backend;
        let done = match body {
            Body::Generate(asked) => backend.generate(asked, task).await.map(Body::Done),
            Body::Embed(asked) => backend.embed(asked, task).await.map(Body::Embeddings),
            Body::Score(asked) => backend.score(asked, task).await.map(Body::Scores),
            // Sorted out above.
            _ => Err(Status::internal("a request without a backend")),
        };
        (done, lease.name().to_owned())
    }
}

impl Service for Inference {
    async fn handle(self: Arc<Self>, mut request: Request, answer: Answer) {
        let body = std::mem::replace(&mut request.body, Body::Generate(Generate::default()));
        match body {
            Body::Metrics(_) => answer.finish(Body::MetricsReport(MetricsReport {
                text: self.metrics(),
                content_type: METRICS_TYPE.to_owned(),
            })),
            Body::Models(asked) => match self.models.answer(asked).await {
                Ok(list) => answer.finish(Body::ModelList(list)),
                Err(status) => answer.fail(status),
            },
            body => {
                // On its own, because a check of a call that takes long would keep the library from ending the request.
                let work = tokio::spawn(async move {
                    let (method, task) = (body.name(), Task::new(request, answer));
                    let (done, model) = self.answer(body, &task).await;
                    let (took, first) = (task.elapsed(), task.to_first_token());
                    self.metrics.ended(method, &model, &done, took, first);
                    task.end(done);
                });
                // A panic of it has answered: the answer was dropped.
                let _ = work.await;
            }
        }
    }

    fn health(&self) -> HealthReport {
        let mut details = vec![("models", self.models.states())];
        if let Some((offer, about, load)) = self.models.default() {
            details.extend([
                ("model", offer.name.clone()),
                ("backend", offer.backend.to_owned()),
                ("guarantee", offer.guarantee.word().to_owned()),
                ("adapters", about.adapters.join(", ")),
            ]);
            if about.context > 0 {
                details.push(("context", about.context.to_string()));
            }
            details.extend(about.details);
            if let Some(load) = load {
                details.extend([
                    ("running", load.running.to_string()),
                    ("waiting", load.waiting.to_string()),
                    ("kv_cache_bytes", load.kv_bytes.to_string()),
                    ("prefix_cache_bytes", load.prefix_bytes.to_string()),
                    ("prefix_cache_entries", load.prefix_entries.to_string()),
                ]);
            }
        }
        HealthReport {
            status: "SERVING".to_owned(),
            details: (details.into_iter())
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            ..HealthReport::default()
        }
    }
}
