//! The client of bench/sandbox.py and bench/chaos.py: calls one tool again and again and tells how long each call took.
//! It is a program of its own in Rust so that what is measured is the executor and the socket, not the one who measures.
#![allow(
    clippy::print_stdout,
    reason = "the figures on standard output are what it is for"
)]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Parser;
use ipc::{
    Status,
    client::Client,
    proto::{CallTool, Meta, ToolResult, frame::Body},
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

/// Calls a tool over connections of its own, binary frames, and prints one JSON object.
#[derive(Clone, Debug, Parser)]
struct Args {
    socket: PathBuf,
    tool: String,
    /// JSON text
    arguments: String,
    /// How long to go on
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Calls of each, if they are over before the time is
    #[arg(long, default_value_t = u64::MAX)]
    calls: u64,
    /// Connections
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// How many calls each connection has under way at once; an answered one is followed by the next
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// The least time between the beginnings of a call and of the one that follows it, the same instants for all
    #[arg(long, default_value_t = 0.0)]
    every_ms: f64,
}

/// Times in microseconds, one of each call, in the order in which the calls ended.
#[derive(Debug, Default, Serialize)]
struct Report {
    seconds: f64,
    /// From sending the call to having its result.
    socket_us: Vec<u32>,
    /// What the executor says that it took.
    wall_us: Vec<u32>,
    /// How much longer it says that it waited for a place.
    queue_us: Vec<u32>,
    /// What ran them: a child made ahead, or one forked for the call.
    starts: BTreeMap<String, u64>,
    /// How the calls ended: the outcome, or the error's code.
    outcomes: BTreeMap<String, u64>,
    /// Their results and errors, in words; the first different ones.
    said: BTreeMap<String, u64>,
}

/// Different words that are kept.
const MAX_SAID: usize = 20;

impl Report {
    fn add(&mut self, took: Duration, ended: Result<ToolResult, Status>) {
        let (outcome, said) = match ended {
            Ok(result) => {
                self.socket_us
                    .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                self.wall_us.push(result.wall_us);
                self.queue_us.push(result.queue_us);
                *self.starts.entry(result.start).or_default() += 1;
                let said = result.error.map_or(result.result, |error| error.message);
                (result.outcome, said)
            }
            Err(status) => (status.code.as_str_name().to_owned(), status.message),
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        if self.said.len() < MAX_SAID || self.said.contains_key(&said) {
            *self.said.entry(said).or_default() += 1;
        }
    }

    fn join(&mut self, other: Self) {
        self.socket_us.extend(other.socket_us);
        self.wall_us.extend(other.wall_us);
        self.queue_us.extend(other.queue_us);
        for (all, more) in [
            (&mut self.starts, other.starts),
            (&mut self.outcomes, other.outcomes),
            (&mut self.said, other.said),
        ] {
            for (what, count) in more {
                *all.entry(what).or_default() += count;
            }
        }
    }
}

// One thread for all clients: what wakes one of them is never another processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut connections = Vec::new();
    for _ in 0..args.clients {
        connections.push(Client::connect(&args.socket).await?);
    }
    let started = Instant::now();
    let loops: Vec<_> = connections
        .iter()
        .flat_map(|client| std::iter::repeat_n(client, args.at_once))
        .map(|client| tokio::spawn(run(client.clone(), args.clone(), started)))
        .collect();
    let mut report = Report::default();
    for one in loops {
        report.join(one.await?);
    }
    report.seconds = started.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn run(client: Client, args: Args, started: Instant) -> Report {
    let mut report = Report::default();
    let every = Duration::from_secs_f64(args.every_ms / 1000.0);
    let mut pace = (!every.is_zero()).then(|| interval_at(started.into(), every));
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    }
    let mut refused = 0_u32;
    for _ in 0..args.calls {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if started.elapsed().as_secs_f64() >= args.seconds {
            break;
        }
        let (took, ended) = call(&client, &args).await;
        let later = ended.as_ref().err().map(|status| status.retry_after_ms);
        report.add(took, ended);
        match later {
            Some(ms) => {
                refused += 1;
                // No advice: it will not be better at once either. Each time twice as long, as client libraries do it.
                let ms = u64::from(ms.max(100)) << refused.min(5);
                sleep(Duration::from_millis(ms)).await;
            }
            None => refused = 0,
        }
    }
    report
}

async fn call(client: &Client, args: &Args) -> (Duration, Result<ToolResult, Status>) {
    let body = Body::CallTool(CallTool {
        name: args.tool.clone(),
        arguments: args.arguments.clone(),
        call_id: String::new(),
    });
    let started = Instant::now();
    let answer = client.ask(body, Meta::default()).await;
    let took = started.elapsed();
    let ended = answer.and_then(|body| match body {
        Body::ToolResult(result) => Ok(result),
        other => Err(Status::internal(format!("answered with {}", other.name()))),
    });
    (took, ended)
}
