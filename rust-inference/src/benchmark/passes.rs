//! The model alone: reading prompts, writing token by token, and small batches that need no head.

use std::time::Instant;

use ipc::program::Failure;
use rust_inference::model::{Frozen, KvCache, Model};

use super::{
    bandwidth::Memory,
    progress,
    row::{Row, Rows},
    sample::Sample,
};
use crate::cli::{Bench, Part};

/// Passes of one run of a small batch, of which the mean counts: one takes a few milliseconds only.
const PASSES: usize = 4;

/// Readings of as many bytes as a token reads, behind each run of decoding, of which the fastest is the limit.
const READINGS: usize = 4;

pub(super) fn measure(
    plan: &Bench,
    model: &Model,
    memory: &Memory,
    rows: &mut Rows,
) -> Result<(), Failure> {
    if plan.wants(Part::Prefill) {
        for &size in &plan.prefill {
            if room(model, "prefill", 0, size) {
                let rates = runs(&format!("prefill {size}"), plan.runs, || {
                    prefill(model, size)
                });
                rows.add(Row::new("prefill", rates, "tok/s").size(size))?;
            }
        }
    }
    if !plan.wants(Part::Decode) && !plan.wants(Part::Batch) {
        return Ok(());
    }
    for &depth in &plan.depth {
        if !room(model, "depth", depth, 1) {
            continue;
        }
        progress(&format!("reading {depth} positions"));
        let frozen = filled(model, depth).freeze();
        if plan.wants(Part::Decode) {
            for &size in &plan.decode {
                if room(model, "decode", depth, size) {
                    let what = format!("decode {size} at {depth}");
                    let bytes: usize = (depth..depth + size).map(|at| model.bytes_read(at)).sum();
                    let mut parts = Vec::with_capacity(plan.runs + 1);
                    let rates = runs(&what, plan.runs, || {
                        let rate = decode(model, &frozen, size);
                        let readings = (0..READINGS).map(|_| memory.read(model.threads()));
                        let limit = readings.fold(0.0, f64::max);
                        parts.push(rate / size as f64 * bytes as f64 / limit);
                        rate
                    });
                    let parts = Sample::of(parts.split_off(1));
                    let row = Row::new("decode", rates, "tok/s").size(size).depth(depth);
                    rows.add(row.of_bandwidth(parts.median))?;
                }
            }
        }
        if plan.wants(Part::Batch) {
            for &size in &plan.batch {
                if room(model, "batch", depth, PASSES * size) {
                    let what = format!("batch {size} at {depth}");
                    let times = runs(&what, plan.runs, || batch(model, &frozen, size));
                    rows.add(Row::new("batch", times, "ms").size(size).depth(depth))?;
                }
            }
        }
    }
    Ok(())
}

/// Whether so many tokens fit into the context; says if not.
fn room(model: &Model, test: &str, depth: usize, size: usize) -> bool {
    let (needed, context) = (depth + size, model.config.context);
    if needed > context {
        progress(&format!(
            "left out: {test} needs {needed} positions, and the model's context has {context}"
        ));
    }
    needed <= context
}

/// Says what is measured, runs once in vain, and then so many times.
fn runs(what: &str, count: usize, mut run: impl FnMut() -> f64) -> Sample {
    progress(what);
    run();
    Sample::of((0..count).map(|_| run()).collect())
}

/// Tokens without a pattern: which they are costs nothing, but rows of the embedding that are near each other would.
fn tokens(model: &Model, count: usize) -> Vec<u32> {
    let size = model.config.vocab_size as u64;
    (1..=count as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) % size)
        .map(|id| id as u32)
        .collect()
}

fn filled(model: &Model, depth: usize) -> KvCache {
    let mut cache = KvCache::new(model);
    if depth > 0 {
        model.forward(&tokens(model, depth), &mut cache);
    }
    cache
}

/// Tokens a second.
fn prefill(model: &Model, size: usize) -> f64 {
    let tokens = tokens(model, size);
    let mut cache = KvCache::new(model);
    let since = Instant::now();
    model.forward(&tokens, &mut cache);
    size as f64 / since.elapsed().as_secs_f64()
}

/// Tokens a second, each the most probable of the whole vocabulary.
fn decode(model: &Model, frozen: &Frozen, size: usize) -> f64 {
    let mut cache = KvCache::resume(model, frozen, frozen.len());
    let mut token = 0;
    let since = Instant::now();
    for _ in 0..size {
        let hidden = model.forward(&[token], &mut cache);
        let logits = model.logits(&hidden);
        let best = (logits.iter().enumerate()).max_by(|(_, a), (_, b)| a.total_cmp(b));
        token = best.map_or(0, |(id, _)| id as u32);
    }
    size as f64 / since.elapsed().as_secs_f64()
}

/// Milliseconds of a pass.
fn batch(model: &Model, frozen: &Frozen, size: usize) -> f64 {
    let mut cache = KvCache::resume(model, frozen, frozen.len());
    let tokens = tokens(model, size);
    let since = Instant::now();
    for _ in 0..PASSES {
        model.forward(&tokens, &mut cache);
    }
    since.elapsed().as_secs_f64() * 1e3 / PASSES as f64
}
