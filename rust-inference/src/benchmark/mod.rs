//! `bench`: how fast this machine runs a model, measured in one run beside what the machine could do at best.
//!
//! What is measured of the model's passes is the model alone; calls and clients go over a socket to a server in this
//! process, and are what somebody who asks it waits for. Every figure is a median of several runs behind one that does
//! not count. A decoded token must read all weights and the positions behind it: how many bytes that is, is known, and
//! how fast as many bytes can be read is measured with the same threads behind each run, for the machine may be busy with
//! other things as well, so that decoding can be told in parts of it.

mod bandwidth;
mod calls;
mod passes;
mod row;
mod sample;
mod server;

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use clap::ValueEnum as _;
use ipc::program::Failure;
use rust_inference::{
    kernels::physical_cores,
    model::{LoadOptions, Model},
};

use self::{
    bandwidth::Memory,
    row::{Row, Rows},
    sample::Sample,
};
use crate::{
    cli::{Bench, Part},
    load,
};

pub(crate) fn run(plan: &Bench) -> Result<(), Failure> {
    plan.kernel.choose();
    let mut rows = Rows::new(plan.json);
    let threads = match plan.threads.as_slice() {
        [] => &[physical_cores()],
        given => given,
    };
    for &weights in &plan.weights {
        for &threads in threads {
            let since = Instant::now();
            let model = load::model(
                plan.model.as_deref(),
                None,
                &LoadOptions {
                    weights: weights.into(),
                    threads,
                    ..LoadOptions::default()
                },
            )?;
            let loaded = since.elapsed();
            let weights = (weights.to_possible_value())
                .map_or_else(String::new, |value| value.get_name().to_owned());
            rows.begin(&model.name, weights, threads);
            rows.add(Row::new(
                "load",
                Sample::of(vec![loaded.as_secs_f64() * 1e3]),
                "ms",
            ))?;
            one(plan, Arc::new(model), &mut rows)?;
        }
    }
    Ok(())
}

/// All that is wanted of one model.
fn one(plan: &Bench, model: Arc<Model>, rows: &mut Rows) -> Result<(), Failure> {
    let bytes = model.bytes_read(0);
    progress(&format!("read {bytes} bytes, as many as a token does"));
    let memory = Memory::new(bytes);
    memory.read(model.threads());
    let rates = (0..plan.runs).map(|_| memory.read(model.threads()) / 1e9);
    let read = Sample::of(rates.collect());
    rows.add(Row::new("read", read, "GB/s").size(bytes))?;
    passes::measure(plan, &model, &memory, rows)?;
    if plan.wants(Part::Call) || plan.wants(Part::Clients) {
        calls::measure(plan, model, rows)?;
    }
    Ok(())
}

/// What goes on, for whoever waits; on standard error, for standard output is the figures'.
fn progress(text: &str) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "bench: {text}");
}
