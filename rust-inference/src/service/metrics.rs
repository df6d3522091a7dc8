//! What is counted of requests, for Prometheus: how many, how they ended, how long each part took, and what it cost.
//!
//! Names and units follow Prometheus' conventions, the text is `OpenMetrics`. What a request cost is known when it is
//! answered: of those that were cancelled only the outcome counts.

use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime},
};

use ipc::{
    Status,
    proto::{Usage, frame::Body},
};
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

use crate::backend::Load;

/// The media type of what [`Metrics::text`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Ended, Counter>,
    request: Family<Method, Histogram, fn() -> Histogram>,
    queue: Times,
    prefill: Times,
    decode: Times,
    first_token: Times,
    sharing: Histogram,
    tokens: Family<Kind, Counter>,
    head_rows: Family<Model, Counter>,
    constraint: Family<Model, Counter<f64, AtomicU64>>,
    loaded: Family<Model, Gauge>,
    running: Family<Model, Gauge>,
    waiting: Family<Model, Gauge>,
    kv_bytes: Family<Model, Gauge>,
    prefix_bytes: Family<Model, Gauge>,
    prefix_entries: Family<Model, Gauge>,
    resident: Gauge,
}

type Times = Family<Model, Histogram, fn() -> Histogram>;

/// The name that the server has for it; empty where a request named none that is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    method: &'static str,
    model: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    model: String,
    kind: &'static str,
}

/// From a tenth of a millisecond to nearly two minutes.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(1e-4, 2.0, 21))
}

impl Metrics {
    /// `sharing` is told of by whoever computes.
    pub(super) fn new(sharing: Histogram) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            request: Family::new_with_constructor(times),
            queue: Family::new_with_constructor(times),
            prefill: Family::new_with_constructor(times),
            decode: Family::new_with_constructor(times),
            first_token: Family::new_with_constructor(times),
            tokens: Family::default(),
            head_rows: Family::default(),
            constraint: Family::default(),
            sharing,
            loaded: Family::default(),
            running: Family::default(),
            waiting: Family::default(),
            kv_bytes: Family::default(),
            prefix_bytes: Family::default(),
            prefix_entries: Family::default(),
            resident: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let all = &mut self.registry;
        let ours = all.sub_registry_with_prefix("callspan_inference");
        let build = ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        ours.register("build", "What serves", Info::new(vec![build]));
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
            self.sharing.clone(),
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
            (
                "model_loaded",
                "1 for a model that is in memory, or another server's",
                &self.loaded,
            ),
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

    /// A request ended, with so much time to its first token if it had one.
    pub(super) fn ended(
        &self,
        method: &'static str,
        model: &str,
        done: &Result<Body, Status>,
        took: Duration,
        first_token: Option<Duration>,
    ) {
        let (outcome, usage) = match done {
            Ok(Body::Done(done)) => (done.finish_reason.clone(), &done.usage),
            Ok(Body::Embeddings(answer)) => ("ok".to_owned(), &answer.usage),
            Ok(Body::Scores(answer)) => ("ok".to_owned(), &answer.usage),
            Ok(_) => ("ok".to_owned(), &None),
            Err(status) => (status.code.as_str_name().to_lowercase(), &None),
        };
        let label = Model {
            model: model.to_owned(),
        };
        if let Some(after) = first_token {
            observe(&self.first_token, &label, after);
        }
        if let Some(usage) = usage {
            self.cost(&label, method, usage);
        }
        let model = label.model;
        let outcome = Ended {
            method,
            model: model.clone(),
            outcome,
        };
        self.requests.get_or_create(&outcome).inc();
        let method = Method { method, model };
        (self.request.get_or_create(&method)).observe(took.as_secs_f64());
    }

    /// What an answer cost.
    fn cost(&self, label: &Model, method: &str, usage: &Usage) {
        let us = |time: u32| Duration::from_micros(time.into());
        observe(&self.queue, label, us(usage.queue_us));
        observe(&self.prefill, label, us(usage.prefill_us));
        self.count(label, "prompt", usage.prompt_tokens);
        self.head_rows.get_or_create(label).inc_by(usage.head_rows);
        if method != "generate" {
            return;
        }
        observe(&self.decode, label, us(usage.decode_us));
        for (kind, count) in [
            ("cached", usage.cached_tokens),
            ("completion", usage.completion_tokens),
            ("forced", usage.forced_tokens),
            ("constrained", usage.constrained_tokens),
            ("free", usage.free_tokens),
            ("speculated", usage.speculated_tokens),
        ] {
            self.count(label, kind, count);
        }
        let spent = us(usage.constraint_us).as_secs_f64();
        self.constraint.get_or_create(label).inc_by(spent);
    }

    fn count(&self, label: &Model, kind: &'static str, count: u32) {
        let model = label.model.clone();
        (self.tokens.get_or_create(&Kind { model, kind })).inc_by(count.into());
    }

    /// All of it, as Prometheus reads it; `loads` tells how busy each model is that is there.
    pub(super) fn text<'a>(
        &self,
        loads: impl Iterator<Item = (&'a str, bool, Option<Load>)>,
    ) -> String {
        for (name, there, load) in loads {
            let label = Model {
                model: name.to_owned(),
            };
            self.loaded.get_or_create(&label).set(there.into());
            for (gauge, value) in [
                (&self.running, load.map(|load| load.running)),
                (&self.waiting, load.map(|load| load.waiting)),
                (&self.kv_bytes, load.map(|load| load.kv_bytes)),
                (&self.prefix_bytes, load.map(|load| load.prefix_bytes)),
                (&self.prefix_entries, load.map(|load| load.prefix_entries)),
            ] {
                match value {
                    Some(value) => drop(gauge.get_or_create(&label).set(value as i64)),
                    None => drop(gauge.remove(&label)),
                }
            }
        }
        self.resident.set(resident().unwrap_or_default());
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn observe(times: &Times, label: &Model, time: Duration) {
    times.get_or_create(label).observe(time.as_secs_f64());
}

/// Bytes of memory in RAM, where the system tells.
fn resident() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = (status.lines()).find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
