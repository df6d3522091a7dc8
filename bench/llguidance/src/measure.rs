//! The measurement itself, the same for each engine: compile, then be led through the calls token by token.

use std::time::{Duration, Instant};

use rust_inference::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::{Result, calls::Workload, memory::held_mib};

/// How often the tools are compiled anew, and how often all calls are made again.
const COMPILATIONS: usize = 30;
const ROUNDS: usize = 20;

/// Where a list of candidates pays: with more the whole head is computed.
pub const FEW: usize = 1024;

/// A constraint's implementation.
pub trait Engine: Sized {
    /// The tools, made ready.
    type Compiled;
    /// One generation.
    type Session;

    /// What is made once for a tokenizer.
    fn new(tokenizer: Tokenizer) -> Result<Self>;
    fn compile(&self, workload: &Workload) -> Result<Self::Compiled>;
    fn start(compiled: &Self::Compiled) -> Result<Self::Session>;
    fn next(session: &mut Self::Session) -> Result<Step>;
    fn push(session: &mut Self::Session, token: u32) -> Result<()>;
}

pub enum Step {
    /// Already taken.
    Forced(Vec<u32>),
    Choose(Box<dyn Possible>),
    End,
}

/// The tokens that may come next.
pub trait Possible {
    fn count(&self) -> usize;
    fn contains(&self, token: u32) -> bool;
}

/// What is told of an engine and a set of tools; times in microseconds.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    pub calls: usize,
    pub tokens: usize,
    pub forced: usize,
    pub few: usize,
    pub vocabulary_us: f64,
    pub compile_us: f64,
    pub cold_call_us: f64,
    pub call_us: f64,
    pub step_us: [f64; 3],
    pub candidates: [f64; 3],
    pub vocabulary_mib: f64,
    pub mib: f64,
}

/// What happened in one call.
#[derive(Default)]
struct Trace {
    steps: Vec<f64>,
    candidates: Vec<f64>,
    tokens: usize,
    forced: usize,
}

pub fn measure<E: Engine>(workload: &Workload) -> Result<Figures> {
    let (tokenizer, theirs) = (workload.tokenizer()?, workload.tokenizer()?);
    let before = held_mib();
    let started = Instant::now();
    let engine = E::new(theirs)?;
    let vocabulary_us = micros(started.elapsed());
    let vocabulary_mib = held_mib() - before;

    // The first of all is for the processor's caches.
    let mut compilations = Vec::new();
    for _ in 0..=COMPILATIONS {
        let started = Instant::now();
        drop(engine.compile(workload)?);
        compilations.push(micros(started.elapsed()));
    }
    compilations.remove(0);

    // Cold: a set of tools that was never seen. Warm: asked again, as an agent does, but something else.
    let mut cold = Vec::new();
    for call in &workload.calls(0)? {
        let compiled = engine.compile(workload)?;
        cold.push(follow::<E>(&compiled, call, &tokenizer)?.steps.iter().sum());
    }
    let compiled = engine.compile(workload)?;
    let mut warm = Vec::new();
    let mut all = Trace::default();
    for round in 0..=ROUNDS {
        for call in &workload.calls(round)? {
            let trace = follow::<E>(&compiled, call, &tokenizer)?;
            if round > 0 {
                warm.push(trace.steps.iter().sum());
                all.steps.extend(trace.steps);
                all.candidates.extend(trace.candidates);
                all.tokens += trace.tokens;
                all.forced += trace.forced;
            }
        }
    }
    Ok(Figures {
        calls: workload.calls(0)?.len(),
        tokens: all.tokens / ROUNDS,
        forced: all.forced / ROUNDS,
        few: (all.candidates.iter())
            .filter(|count| **count <= FEW as f64)
            .count()
            / ROUNDS,
        vocabulary_us,
        compile_us: at(&mut compilations, 0.5),
        cold_call_us: at(&mut cold, 0.5),
        call_us: at(&mut warm, 0.5),
        step_us: [0.5, 0.99, 1.0].map(|part| at(&mut all.steps, part)),
        candidates: [0.5, 0.9, 1.0].map(|part| at(&mut all.candidates, part)),
        vocabulary_mib,
        mib: held_mib() - before,
    })
}

/// Leads a generation through the text of a call. What is timed is all that the constraint does for a token.
fn follow<E: Engine>(compiled: &E::Compiled, call: &str, tokenizer: &Tokenizer) -> Result<Trace> {
    let mut trace = Trace::default();
    let mut rest = call;
    let started = Instant::now();
    let mut session = E::start(compiled)?;
    let mut spent = started.elapsed();
    loop {
        let started = Instant::now();
        let step = E::next(&mut session)?;
        spent += started.elapsed();
        let token = match step {
            Step::End => break,
            Step::Forced(tokens) => {
                trace.forced += tokens.len();
                trace.tokens += tokens.len();
                for token in tokens {
                    rest = without(rest, token, tokenizer)?;
                }
                continue;
            }
            Step::Choose(possible) => {
                let ids = tokenizer.encode(&tokenizer.pieces(rest))?;
                let Some(token) = ids.first().copied() else {
                    // All is written; a constraint may still offer another call, or want the end said.
                    break;
                };
                if !possible.contains(token) {
                    return Err(format!("{rest:?} is not possible in {call}").into());
                }
                trace.candidates.push(possible.count() as f64);
                trace.tokens += 1;
                token
            }
        };
        rest = without(rest, token, tokenizer)?;
        let started = Instant::now();
        E::push(&mut session, token)?;
        spent += started.elapsed();
        trace.steps.push(micros(std::mem::take(&mut spent)));
    }
    if !rest.is_empty() {
        return Err(format!("it ends before {rest:?} of {call}").into());
    }
    Ok(trace)
}

fn without<'a>(rest: &'a str, token: u32, tokenizer: &Tokenizer) -> Result<&'a str> {
    let text = std::str::from_utf8(tokenizer.bytes(token))?;
    let wrong = || format!("{text:?} was forced where {rest:?} was meant");
    Ok(rest.strip_prefix(text).ok_or_else(wrong)?)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The value below which this part of them lies.
fn at(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (part * (values.len().saturating_sub(1)) as f64).round() as usize;
    values.get(place).copied().unwrap_or(0.0)
}
