//! Attention of new positions over the keys and values of all that they may look at.

use std::ops::Range;

use half::f16;

use super::{Level, Threads, softmax};

/// Keys and values at consecutive positions: `positions × kv_heads × head_dim` numbers each.
#[derive(Clone, Copy, Debug)]
pub enum KvPart<'a> {
    F32 { keys: &'a [f32], values: &'a [f32] },
    F16 { keys: &'a [f16], values: &'a [f16] },
}

/// What all positions of a layer have in common.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub heads: usize,
    /// Each is shared by `heads / kv_heads` query heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Scores are multiplied by this.
    pub scale: f32,
    /// Scores are squeezed into ± this, if it is given.
    pub softcap: Option<f32>,
    /// A position sees so many, itself included; all earlier ones if nothing is given.
    pub window: Option<usize>,
}

/// The new positions of one sequence. Their own keys and values are the last of `parts`.
#[derive(Debug)]
pub struct AttentionJob<'a> {
    /// `n × heads × head_dim`.
    pub queries: &'a [f32],
    /// The position of the first of them.
    pub first_query: usize,
    pub parts: Vec<KvPart<'a>>,
    /// The position of the first row of `parts`: no query may see anything before it.
    pub first_key: usize,
    /// `n × heads × head_dim`.
    pub out: &'a mut [f32],
}

/// Writes what each query sees into the jobs' `out`. A query's numbers do not depend on what else is asked with it.
pub fn attention(threads: &Threads, shape: &AttentionShape, jobs: &mut [AttentionJob<'_>]) {
    for job in jobs {
        let (queries, parts) = (job.queries, &job.parts);
        let (first_query, first_key) = (job.first_query, job.first_key);
        threads.chunks(job.out, shape.head_dim, &|i, out| {
            let position = first_query + i / shape.heads;
            let from = shape
                .window
                .map_or(0, |window| (position + 1).saturating_sub(window));
            let seen = from.max(first_key) - first_key..position + 1 - first_key;
            let kv_head = i % shape.heads * shape.kv_heads / shape.heads;
            let query = &queries[i * shape.head_dim..(i + 1) * shape.head_dim];
            one_head(shape, query, parts, seen, kv_head, out);
        });
    }
}

/// One query head over the rows `seen` of the parts.
fn one_head(
    shape: &AttentionShape,
    query: &[f32],
    parts: &[KvPart<'_>],
    seen: Range<usize>,
    kv_head: usize,
    out: &mut [f32],
) {
    let dim = shape.head_dim;
    let mut row = vec![0.0; dim];
    let mut scores: Vec<f32> = Vec::with_capacity(seen.len());
    each_row(shape, parts, seen.clone(), |part, at| {
        part.widen(true, at + kv_head * dim, &mut row);
        let score = Level::best().dot(query, &row) * shape.scale;
        let capped = |cap: f32| cap * (score / cap).tanh();
        scores.push(shape.softcap.map_or(score, capped));
    });
    softmax(&mut scores);
    out.fill(0.0);
    let mut scores = scores.into_iter();
    each_row(shape, parts, seen, |part, at| {
        part.widen(false, at + kv_head * dim, &mut row);
        if let Some(score) = scores.next() {
            out.iter_mut()
                .zip(&row)
                .for_each(|(out, value)| *out += score * value);
        }
    });
}

/// Calls `work` with the part and the first number of each row in `seen`.
fn each_row<'a>(
    shape: &AttentionShape,
    parts: &[KvPart<'a>],
    seen: Range<usize>,
    mut work: impl FnMut(&KvPart<'a>, usize),
) {
    let width = shape.kv_heads * shape.head_dim;
    let mut before = 0;
    for part in parts {
        let rows = part.len() / width;
        let within = |row: usize| row.saturating_sub(before).min(rows);
        for row in within(seen.start)..within(seen.end) {
            work(part, row * width);
        }
        before += rows;
    }
}

impl KvPart<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32 { keys, .. } => keys.len(),
            Self::F16 { keys, .. } => keys.len(),
        }
    }

    /// The numbers from `at` on, as many as `out` has.
    fn widen(&self, key: bool, at: usize, out: &mut [f32]) {
        match self {
            Self::F32 { keys, values } => {
                let from = if key { keys } else { values };
                out.copy_from_slice(&from[at..at + out.len()]);
            }
            Self::F16 { keys, values } => {
                let from = if key { keys } else { values };
                for (out, value) in out.iter_mut().zip(&from[at..]) {
                    *out = value.to_f32();
                }
            }
        }
    }
}
