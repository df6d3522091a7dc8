//! What is counted of requests, for Prometheus: how many, how they ended, how long each part took, and what it cost.
//!
//! Names and units follow Prometheus' conventions, the text is `OpenMetrics`. What a request cost is known when it is
//! answered: of those that were cancelled only the outcome counts.

use std::{
    fs,
    sync::atomic::{AtomicI64, AtomicU64},
    time::{Duration, SystemTime},
};

use ipc::{Status, proto::frame::Body};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::scheduler::{Scheduler, Stats};

/// The media type of what [`Metrics::text`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    request: Family<Method, Histogram, fn() -> Histogram>,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    first_token: Histogram,
    tokens: Family<Kind, Counter>,
    head_rows: Counter,
    constraint: Counter<f64, AtomicU64>,
    running: Gauge,
    waiting: Gauge,
    kv_bytes: Gauge,
    prefix_bytes: Gauge,
    prefix_entries: Gauge,
    resident: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// From a tenth of a millisecond to nearly two minutes.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 21))
}

impl Metrics {
    pub(super) fn new(model: &str, scheduler: &Scheduler) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request: Family::new_with_constructor(times),
            queue: times(),
            prefill: times(),
            decode: times(),
            first_token: times(),
            tokens: Family::default(),
            head_rows: Counter::default(),
            constraint: Counter::default(),
            running: Gauge::<i64, AtomicI64>::default(),
            waiting: Gauge::default(),
            kv_bytes: Gauge::default(),
            prefix_bytes: Gauge::default(),
            prefix_entries: Gauge::default(),
            resident: Gauge::default(),
        };
        metrics.registered(model, scheduler)
    }

    fn registered(mut self, model: &str, scheduler: &Scheduler) -> Self {
        let all = &mut self.registry;
        let ours = all.sub_registry_with_prefix("callspan_inference");
        let build = [("version", env!("CARGO_PKG_VERSION")), ("model", model)]
            .map(|(key, value)| (key, value.to_owned()));
        ours.register(
            "build",
            "What is served, and by which version",
            Info::new(build.to_vec()),
        );
        ours.register(
            "requests",
            "Requests that ended, by how: a finish_reason, ok, or the error's code",
            self.requests.clone(),
        );
        for (name, help, histogram) in [
            ("queue", "Waited for the model", &self.queue),
            ("prefill", "Reading a prompt", &self.prefill),
            ("decode", "Writing an answer", &self.decode),
            (
                "time_to_first_token",
                "From a request's arrival to its first token",
                &self.first_token,
            ),
        ] {
            ours.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        ours.register_with_unit(
            "request",
            "From a request's arrival to its end",
            Unit::Seconds,
            self.request.clone(),
        );
        ours.register(
            "batch_size",
            "Requests that shared a pass through the layers; its count is that of all passes",
            scheduler.sharing(),
        );
        ours.register(
            "tokens",
            "Tokens: of prompts, those of them that were not computed anew (cached), and of answers those that were \
             forced, constrained or free, and of these the ones guessed right (speculated)",
            self.tokens.clone(),
        );
        ours.register(
            "head_rows",
            "Rows of the output head that were computed",
            self.head_rows.clone(),
        );
        ours.register_with_unit(
            "constraint",
            "Spent on finding out which tokens are possible",
            Unit::Seconds,
            self.constraint.clone(),
        );
        for (name, help, gauge) in [
            ("requests_running", "Requests at work", &self.running),
            ("requests_waiting", "Requests in the queue", &self.waiting),
            (
                "prefix_cache_entries",
                "Beginnings that are kept",
                &self.prefix_entries,
            ),
        ] {
            ours.register(name, help, gauge.clone());
        }
        ours.register_with_unit(
            "kv_cache",
            "KV that requests at work have reserved or share",
            Unit::Bytes,
            self.kv_bytes.clone(),
        );
        ours.register_with_unit(
            "prefix_cache",
            "What was computed of earlier requests and is kept",
            Unit::Bytes,
            self.prefix_bytes.clone(),
        );
        // What these are called is the same for every program.
        all.register_with_unit(
            "process_resident_memory",
            "Memory of this process that is in RAM",
            Unit::Bytes,
            self.resident.clone(),
        );
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        all.register_with_unit(
            "process_start_time",
            "When this process began to serve, since 1970",
            Unit::Seconds,
            ConstGauge::new(since.unwrap_or_default().as_secs_f64()),
        );
        self
    }

    /// A request ended.
    pub(super) fn ended(&self, method: &'static str, done: &Result<Body, Status>, took: Duration) {
        let outcome = match done {
            Ok(Body::Done(done)) => done.finish_reason.clone(),
            Ok(_) => "ok".to_owned(),
            Err(status) => status.code.as_str_name().to_lowercase(),
        };
        let label = Outcome { method, outcome };
        self.requests.get_or_create(&label).inc();
        (self.request.get_or_create(&Method { method })).observe(took.as_secs_f64());
    }

    pub(super) fn first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// What an answer cost that the model wrote.
    pub(super) fn wrote(&self, prompt_tokens: u32, stats: &Stats) {
        self.decode.observe(stats.decode.as_secs_f64());
        for (kind, count) in [
            ("cached", stats.cached),
            ("forced", stats.forced),
            ("constrained", stats.constrained),
            ("free", stats.free),
            ("speculated", stats.speculated),
        ] {
            self.tokens
                .get_or_create(&Kind { kind })
                .inc_by(count as u64);
        }
        self.constraint.inc_by(stats.constraint.as_secs_f64());
        self.read(prompt_tokens, stats);
    }

    /// What it cost to read so many tokens.
    pub(super) fn read(&self, tokens: u32, stats: &Stats) {
        self.queue.observe(stats.queued.as_secs_f64());
        self.prefill.observe(stats.prefill.as_secs_f64());
        let kind = Kind { kind: "prompt" };
        self.tokens.get_or_create(&kind).inc_by(tokens.into());
        self.head_rows.inc_by(stats.head_rows);
    }

    /// All of it, as Prometheus reads it.
    pub(super) fn text(&self, scheduler: &Scheduler) -> String {
        self.running.set(scheduler.running() as i64);
        self.waiting.set(scheduler.waiting() as i64);
        self.kv_bytes.set(scheduler.kv_bytes() as i64);
        let (bytes, entries) = scheduler.prefixes();
        self.prefix_bytes.set(bytes as i64);
        self.prefix_entries.set(entries as i64);
        self.resident.set(resident().unwrap_or_default());
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Bytes of memory in RAM, where the system tells.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = (status.lines()).find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
