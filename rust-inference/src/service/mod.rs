//! Frames ↔ engine: answers `generate`, `embed`, `score`, `metrics` and `health` for one model.

mod before;
mod choice;
mod embed;
mod generate;
mod limits;
mod metrics;
mod offered;
mod output;
mod prepare;
mod read;
mod report;
mod score;
mod stops;

use std::{sync::Arc, time::Instant};

use ipc::{
    Status,
    proto::{Generate, HealthReport, MetricsReport, frame::Body},
    server::{Answer, Request, ServerInfo, Service},
};

pub use self::metrics::CONTENT_TYPE as METRICS_TYPE;
use self::{metrics::Metrics, offered::Compiler};
use crate::{
    kernels::Kernel,
    model::Model,
    scheduler::{Capacity, Scheduler},
};

/// The bodies that this service answers.
const METHODS: [&str; 4] = ["generate", "embed", "score", "metrics"];

/// Tokens of the format that end a turn or hand it to the tools, where the tokenizer has them.
const ENDS: [&str; 3] = ["<eos>", "<end_of_turn>", "<start_function_response>"];

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
  "adapter"              one of the server's adapters, by its name
  "without"              of forced, rows, speculation, prefix: what makes it faster, switched off

What else it answers:
  {"id":5,"embed":{"input":["A text","Another"]}}
      1 to 256 texts; embeddings.vectors[].values are of length 1, unless "normalize" is false
  {"id":7,"score":{"prompt":"<bos>The sky is","completion":" blue","top":3}}
      or a "chat" with "tools", and "completion_ids"; scores has each token's logprob, their sum and count
  {"id":9,"metrics":{}}
      what was counted, as Prometheus reads it; --metrics ADDR gives it over HTTP
"#;

/// Serves one model.
#[derive(Debug)]
pub struct Inference {
    model: Arc<Model>,
    compiler: Arc<Compiler>,
    /// Tokens that end an answer.
    ends: Vec<u32>,
    scheduler: Scheduler,
    metrics: Metrics,
    threads: usize,
    max_tokens: usize,
}

impl Inference {
    /// An answer has at most `max_tokens` tokens.
    pub fn start(
        model: Arc<Model>,
        capacity: Capacity,
        threads: usize,
        max_tokens: usize,
    ) -> std::io::Result<Self> {
        let scheduler = Scheduler::start(model.clone(), capacity)?;
        let ends = ends(&model);
        Ok(Self {
            compiler: Arc::new(Compiler::new(&model, &ends)),
            metrics: Metrics::new(&model.name, &scheduler),
            model,
            ends,
            scheduler,
            threads,
            max_tokens,
        })
    }

    /// What was counted, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        self.metrics.text(&self.scheduler)
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
}

fn ends(model: &Model) -> Vec<u32> {
    let known = ENDS.iter().filter_map(|text| model.tokenizer.control(text));
    model.config.eos.iter().copied().chain(known).collect()
}

impl Service for Inference {
    async fn handle(self: Arc<Self>, mut request: Request, answer: Answer) {
        let body = std::mem::replace(&mut request.body, Body::Generate(Generate::default()));
        if let Body::Metrics(_) = body {
            return answer.finish(Body::MetricsReport(MetricsReport {
                text: self.metrics(),
                content_type: METRICS_TYPE.to_owned(),
            }));
        }
        // On its own, because a check of a call that takes long would keep the library from ending the request.
        let work = tokio::spawn(async move {
            let (method, since) = (body.name(), Instant::now());
            let done = match body {
                Body::Generate(asked) => {
                    (self.generate(asked, &request, &answer).await).map(Body::Done)
                }
                Body::Embed(asked) => self.embed(asked, &request).await.map(Body::Embeddings),
                Body::Score(asked) => self.score(asked, &request).await.map(Body::Scores),
                other => Err(Status::unimplemented(format!(
                    "this server does not answer {}",
                    other.name()
                ))),
            };
            self.metrics.ended(method, &done, since.elapsed());
            match done {
                Ok(body) => answer.finish(body),
                Err(status) => answer.fail(status),
            }
        });
        // A panic of it has answered: the answer was dropped.
        let _ = work.await;
    }

    fn health(&self) -> HealthReport {
        let config = &self.model.config;
        let capacity = self.scheduler.capacity();
        let (prefix_bytes, prefix_entries) = self.scheduler.prefixes();
        let details = [
            ("model", self.model.name.clone()),
            ("adapters", limits::adapter_names(&self.model)),
            ("packed_cache", self.model.packed.word().to_owned()),
            ("architecture", "Gemma3ForCausalLM".to_owned()),
            ("parameters", self.model.parameters().to_string()),
            ("vocabulary", config.vocab_size.to_string()),
            ("context", config.context.to_string()),
            ("max_tokens", self.max_tokens.to_string()),
            ("kernel", Kernel::chosen().name().to_owned()),
            ("threads", self.threads.to_string()),
            ("parallel", capacity.parallel.to_string()),
            ("running", self.scheduler.running().to_string()),
            ("queue", capacity.queue.to_string()),
            ("waiting", self.scheduler.waiting().to_string()),
            ("kv_cache_bytes", self.scheduler.kv_bytes().to_string()),
            ("kv_cache_limit_bytes", capacity.kv_bytes.to_string()),
            ("prefix_cache_bytes", prefix_bytes.to_string()),
            ("prefix_cache_entries", prefix_entries.to_string()),
        ];
        HealthReport {
            status: "SERVING".to_owned(),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..HealthReport::default()
        }
    }
}
