//! The forward pass of `Gemma3ForCausalLM`, as transformers computes it, in f32.

use std::ops::Range;

use std::sync::Arc;

use half::bf16;
use rayon::prelude::*;

use super::{Attention, Config, KvCache, LoadError, ModelFiles, cache::Rows, weights::Tensors};
use crate::{
    kernels::{Matrix, Values, add_assign, dot, gelu_tanh_times, rms_norm, rope, softmax},
    tokenizer::Tokenizer,
};

/// A loaded model: shared by all requests, never changed.
#[derive(Debug)]
pub struct Model {
    pub name: String,
    pub config: Config,
    pub tokenizer: Arc<Tokenizer>,
    embedding: Matrix,
    /// The embedding again, unless the checkpoint has a head of its own.
    head: Option<Matrix>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    embedding_scale: f32,
    full_frequencies: Vec<f32>,
    sliding_frequencies: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    attention: Attention,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
    query_norm: Vec<f32>,
    key_norm: Vec<f32>,
    input_norm: Vec<f32>,
    post_attention_norm: Vec<f32>,
    pre_mlp_norm: Vec<f32>,
    post_mlp_norm: Vec<f32>,
}

impl Layer {
    fn load(
        tensors: &Tensors<'_>,
        index: usize,
        attention: Attention,
        c: &Config,
    ) -> Result<Self, LoadError> {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        let matrix = |part: &str, rows, cols| tensors.matrix(&name(part), rows, cols);
        let vector = |part: &str, len| tensors.vector(&name(part), len);
        let (queries, keys) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        Ok(Self {
            attention,
            query: matrix("self_attn.q_proj", queries, c.hidden_size)?,
            key: matrix("self_attn.k_proj", keys, c.hidden_size)?,
            value: matrix("self_attn.v_proj", keys, c.hidden_size)?,
            output: matrix("self_attn.o_proj", c.hidden_size, queries)?,
            gate: matrix("mlp.gate_proj", c.intermediate_size, c.hidden_size)?,
            up: matrix("mlp.up_proj", c.intermediate_size, c.hidden_size)?,
            down: matrix("mlp.down_proj", c.hidden_size, c.intermediate_size)?,
            query_norm: vector("self_attn.q_norm", c.head_dim)?,
            key_norm: vector("self_attn.k_norm", c.head_dim)?,
            input_norm: vector("input_layernorm", c.hidden_size)?,
            post_attention_norm: vector("post_attention_layernorm", c.hidden_size)?,
            pre_mlp_norm: vector("pre_feedforward_layernorm", c.hidden_size)?,
            post_mlp_norm: vector("post_feedforward_layernorm", c.hidden_size)?,
        })
    }
}

impl Model {
    pub fn load(files: &ModelFiles) -> Result<Self, LoadError> {
        let config = Config::parse(&files.config, files.generation_config.as_deref())?;
        let tensors = Tensors::open(&files.weights)?;
        let embedding = tensors.matrix(
            "model.embed_tokens.weight",
            config.vocab_size,
            config.hidden_size,
        )?;
        let head = if !config.tied || tensors.contains("lm_head.weight") {
            Some(tensors.matrix("lm_head.weight", config.vocab_size, config.hidden_size)?)
        } else {
            None
        };
        let layers = (config.layers.iter().enumerate())
            .map(|(index, attention)| Layer::load(&tensors, index, *attention, &config))
            .collect::<Result<_, _>>()?;
        // transformers multiplies in the type of the embedding: in bf16 the scale is rounded.
        let scale = (config.hidden_size as f32).sqrt();
        let embedding_scale = match embedding.values() {
            Values::Bf16(_) => bf16::from_f32(scale).to_f32(),
            Values::F32(_) => scale,
        };
        Ok(Self {
            name: files.name.clone(),
            tokenizer: Arc::new(Tokenizer::load(&files.tokenizer, config.vocab_size)?),
            norm: tensors.vector("model.norm.weight", config.hidden_size)?,
            full_frequencies: config.rope_full.inverse_frequencies(config.head_dim),
            sliding_frequencies: config.rope_sliding.inverse_frequencies(config.head_dim),
            embedding,
            head,
            layers,
            embedding_scale,
            config,
        })
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        let size = |m: &Matrix| m.rows() * m.cols();
        let layer = |l: &Layer| {
            let matrices = [
                &l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down,
            ];
            let norms = [
                &l.query_norm,
                &l.key_norm,
                &l.input_norm,
                &l.post_attention_norm,
                &l.pre_mlp_norm,
                &l.post_mlp_norm,
            ];
            matrices.into_iter().map(size).sum::<usize>()
                + norms.into_iter().map(Vec::len).sum::<usize>()
        };
        size(&self.embedding)
            + self.head.as_ref().map_or(0, size)
            + self.norm.len()
            + self.layers.iter().map(layer).sum::<usize>()
    }

    /// Runs `tokens` through all layers behind what `cache` holds. Gives the last layer's output, normalised: one row
    /// of `hidden_size` a token. Ids must be below `vocab_size`, and the sequence within the context.
    pub fn forward(&self, tokens: &[u32], cache: &mut KvCache) -> Vec<f32> {
        let start = cache.len();
        let mut x = Vec::with_capacity(tokens.len() * self.config.hidden_size);
        for &token in tokens {
            x.extend(
                self.embedding
                    .row(token as usize)
                    .iter()
                    .map(|v| v * self.embedding_scale),
            );
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let mixed = self.attend(index, layer, &x, start, cache);
            add_assign(&mut x, &mixed);
            let fed = self.feed(layer, &x);
            add_assign(&mut x, &fed);
        }
        cache.advance();
        rms_norm(&x, &self.norm, self.config.rms_norm_eps)
    }

    /// The logits over the vocabulary of rows that `forward` gave.
    pub fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        self.capped(self.head().apply(hidden))
    }

    /// The logits of these tokens only, the same to the bit as `logits` gives for them.
    pub fn logits_of(&self, tokens: &[u32], hidden: &[f32]) -> Vec<f32> {
        self.capped(self.head().apply_rows(tokens, hidden))
    }

    fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    fn capped(&self, mut logits: Vec<f32>) -> Vec<f32> {
        if let Some(cap) = self.config.logit_softcap {
            for logit in &mut logits {
                *logit = cap * (*logit / cap).tanh();
            }
        }
        logits
    }

    fn feed(&self, layer: &Layer, x: &[f32]) -> Vec<f32> {
        let eps = self.config.rms_norm_eps;
        let x = rms_norm(x, &layer.pre_mlp_norm, eps);
        let mut gate = layer.gate.apply(&x);
        gelu_tanh_times(&mut gate, &layer.up.apply(&x));
        rms_norm(&layer.down.apply(&gate), &layer.post_mlp_norm, eps)
    }

    fn attend(
        &self,
        index: usize,
        layer: &Layer,
        x: &[f32],
        start: usize,
        cache: &mut KvCache,
    ) -> Vec<f32> {
        let c = &self.config;
        let x = rms_norm(x, &layer.input_norm, c.rms_norm_eps);
        let mut queries = rms_norm(&layer.query.apply(&x), &layer.query_norm, c.rms_norm_eps);
        let mut keys = rms_norm(&layer.key.apply(&x), &layer.key_norm, c.rms_norm_eps);
        let values = layer.value.apply(&x);
        let frequencies = match layer.attention {
            Attention::Full => &self.full_frequencies,
            Attention::Sliding => &self.sliding_frequencies,
        };
        for (heads, values) in [(c.heads, &mut queries), (c.kv_heads, &mut keys)] {
            for (i, head) in values.chunks_exact_mut(c.head_dim).enumerate() {
                rope(head, start + i / heads, frequencies);
            }
        }
        let seen = cache.extend(index, &keys, &values);
        let mut mixed = vec![0.0; queries.len()];
        let one_head = |(i, (query, out)): (usize, (&[f32], &mut [f32]))| {
            let position = start + i / c.heads;
            let first = match layer.attention {
                Attention::Full => 0,
                Attention::Sliding => (position + 1).saturating_sub(c.sliding_window),
            };
            let kv_head = i % c.heads * c.kv_heads / c.heads;
            self.attend_head(query, out, first..position + 1, kv_head, &seen);
        };
        let jobs = queries.len() / c.head_dim;
        if jobs * (start + jobs / c.heads) * c.head_dim < 1 << 19 {
            queries
                .chunks_exact(c.head_dim)
                .zip(mixed.chunks_exact_mut(c.head_dim))
                .enumerate()
                .for_each(one_head);
        } else {
            (queries.par_chunks_exact(c.head_dim))
                .zip(mixed.par_chunks_exact_mut(c.head_dim))
                .enumerate()
                .for_each(one_head);
        }
        rms_norm(
            &layer.output.apply(&mixed),
            &layer.post_attention_norm,
            c.rms_norm_eps,
        )
    }

    /// One query head of one position over the positions that it may look at.
    fn attend_head(
        &self,
        query: &[f32],
        out: &mut [f32],
        positions: Range<usize>,
        kv_head: usize,
        seen: &Rows<'_>,
    ) {
        let c = &self.config;
        let mut scores: Vec<f32> = Vec::with_capacity(positions.len());
        for row in seen.keys(positions.clone()) {
            if let Some(key) = row.chunks_exact(c.head_dim).nth(kv_head) {
                let score = dot(query, key) * c.attention_scale;
                scores.push(
                    c.attention_softcap
                        .map_or(score, |cap| cap * (score / cap).tanh()),
                );
            }
        }
        softmax(&mut scores);
        for (row, score) in seen.values(positions).zip(scores) {
            if let Some(value) = row.chunks_exact(c.head_dim).nth(kv_head) {
                out.iter_mut()
                    .zip(value)
                    .for_each(|(out, value)| *out += score * value);
            }
        }
    }
}
