//! An adapter that is held beside the model's weights, for the sequences that were begun with it.
//!
//! What it adds to a token is computed by itself, in one order of operations: it does not depend on what the token is
//! batched with, nor on which adapters the others have.

use std::{path::Path, sync::Arc};

use super::{
    Config, LoadError,
    lora::{Lora, Part},
};
use crate::kernels::Threads;

/// A named adapter.
#[derive(Debug)]
pub struct Adapter {
    pub name: String,
    lora: Lora,
}

impl Adapter {
    /// A PEFT directory, for a model of this shape.
    pub fn open(name: &str, dir: &Path, config: &Config) -> Result<Self, LoadError> {
        Ok(Self {
            name: name.into(),
            lora: Lora::open(dir, config)?,
        })
    }

    /// Adds to `y` what the adapter makes of `x` in a part of a layer.
    fn add(&self, layer: usize, part: Part, x: &[f32], y: &mut [f32]) {
        let Some(delta) = self.lora.delta(layer, part) else {
            return;
        };
        for (down, up) in (delta.down.chunks_exact(x.len())).zip(delta.up.chunks_exact(y.len())) {
            let factor = dot(down, x);
            y.iter_mut().zip(up).for_each(|(y, up)| *y += factor * up);
        }
    }
}

/// The adapters of the tokens of one pass, in the tokens' order.
#[derive(Debug, Default)]
pub(super) struct Adapted(Vec<Option<Arc<Adapter>>>);

impl Adapted {
    /// For spans of so many tokens each.
    pub(super) fn new(spans: impl Iterator<Item = (usize, Option<Arc<Adapter>>)>) -> Self {
        let tokens: Vec<_> = spans
            .flat_map(|(tokens, adapter)| std::iter::repeat_n(adapter, tokens))
            .collect();
        // Most passes need none.
        if tokens.iter().all(Option::is_none) {
            return Self::default();
        }
        Self(tokens)
    }

    /// Adds to the rows of `y` what the tokens' adapters make of those of `x`. A row of `y` is made of the parts, each of so
    /// many values.
    pub(super) fn add(
        &self,
        threads: &Threads,
        layer: usize,
        parts: &[(Part, usize)],
        x: &[f32],
        y: &mut [f32],
    ) {
        if self.0.is_empty() {
            return;
        }
        let (width, cols) = (y.len() / self.0.len(), x.len() / self.0.len());
        threads.chunks(y, width, &|token, y| {
            let adapter = self.0.get(token).and_then(Option::as_ref);
            let x = x.get(token * cols..(token + 1) * cols).unwrap_or_default();
            let mut rest = y;
            for (part, len) in parts {
                let (own, others) = rest.split_at_mut(*len);
                rest = others;
                if let Some(adapter) = adapter {
                    adapter.add(layer, *part, x, own);
                }
            }
        });
    }
}

/// The sum of products, in the same order for any processor.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
