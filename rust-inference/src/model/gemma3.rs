//! The forward pass of `Gemma3ForCausalLM`, as transformers computes it.

use std::{path::Path, sync::Arc};

use super::{
    Adapter, Attention, Config, KvCache, KvPrecision, KvShape, LoadError, ModelFiles,
    adapter::Adapted, layer::Layer, lora::Part, packed::PackedCache, parts::Parts,
};
use crate::{
    kernels::{
        AttentionJob, AttentionShape, Columns, Matrix, Rotations, Threads, Weights, add_rms_norm,
        attention, gelu_tanh_times, norm_and_rotate, physical_cores, rms_norm,
    },
    tokenizer::Tokenizer,
};

/// A loaded model: shared by all requests, never changed.
#[derive(Debug)]
pub struct Model {
    pub name: String,
    pub config: Config,
    pub tokenizer: Arc<Tokenizer>,
    /// Whether it came out of a packed file.
    pub packed: PackedCache,
    /// What a person should be told of that.
    pub notes: Vec<String>,
    threads: Threads,
    kv: Arc<KvShape>,
    embedding: Matrix,
    /// The embedding again, unless the checkpoint has a head of its own.
    head: Option<Matrix>,
    layers: Vec<Layer>,
    /// Those that requests may name.
    adapters: Vec<Arc<Adapter>>,
    norm: Vec<f32>,
    embedding_scale: f32,
    full_frequencies: Vec<f32>,
    sliding_frequencies: Vec<f32>,
}

/// How a model is to be held and computed.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// With f32 the KV cache is f32 too, else f16.
    pub weights: Weights,
    /// Threads that compute, the caller's included.
    pub threads: usize,
    /// Whether what is packed is kept on disk for the next start, and looked for there.
    pub packed_cache: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            weights: Weights::default(),
            threads: physical_cores(),
            packed_cache: false,
        }
    }
}

/// Tokens of one sequence that go through the model behind what its cache holds.
#[derive(Debug)]
pub struct Span<'a> {
    /// Ids below `vocab_size`, no more than the context has room for.
    pub tokens: &'a [u32],
    pub cache: &'a mut KvCache,
}

impl Model {
    pub fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Self, LoadError> {
        let config = Config::parse(&files.config, files.generation_config.as_deref())?;
        let weights = options.weights;
        let threads = Threads::new(options.threads).map_err(|source| LoadError::Threads {
            count: options.threads,
            source,
        })?;
        let parts = Parts::load(files, &config, options, &threads)?;
        let precision = match weights {
            Weights::F32 => KvPrecision::F32,
            Weights::Bf16 | Weights::Q8 | Weights::Q4 => KvPrecision::F16,
        };
        Ok(Self {
            name: files.name.clone(),
            tokenizer: Arc::new(parts.tokenizer),
            packed: parts.packed,
            notes: parts.notes,
            norm: parts.norm,
            full_frequencies: config.rope_full.inverse_frequencies(config.head_dim),
            sliding_frequencies: config.rope_sliding.inverse_frequencies(config.head_dim),
            kv: KvShape::new(&config, precision),
            threads,
            embedding: parts.embedding,
            head: parts.head,
            layers: parts.layers,
            adapters: Vec::new(),
            embedding_scale: parts.embedding_scale,
            config,
        })
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        let size = |m: &Matrix| m.rows() * m.cols();
        size(&self.embedding)
            + self.head.as_ref().map_or(0, size)
            + self.norm.len()
            + self.layers.iter().map(Layer::parameters).sum::<usize>()
    }

    /// Bytes of memory that a token reads whose head is computed, and that has so many positions before it.
    pub fn bytes_read(&self, positions: usize) -> usize {
        let layers = self.layers.iter().map(Layer::bytes).sum::<usize>();
        layers + self.head().bytes().len() + self.kv.bytes_read(positions)
    }

    /// Bytes of memory of its matrices.
    pub fn bytes(&self) -> usize {
        let layers = self.layers.iter().map(Layer::bytes).sum::<usize>();
        let size = |m: &Matrix| m.bytes().len();
        layers + size(&self.embedding) + self.head.as_ref().map_or(0, size)
    }

    /// Holds an adapter beside the weights, for sequences that are begun with it.
    pub fn add_adapter(&mut self, name: &str, dir: &Path) -> Result<(), LoadError> {
        if self.adapter(name).is_some() {
            return Err(LoadError::Adapter(format!(
                "there are two adapters of the name {name}"
            )));
        }
        let adapter = Adapter::open(name, dir, &self.config)?;
        self.adapters.push(Arc::new(adapter));
        Ok(())
    }

    pub fn adapters(&self) -> &[Arc<Adapter>] {
        &self.adapters
    }

    pub fn adapter(&self, name: &str) -> Option<&Arc<Adapter>> {
        self.adapters.iter().find(|adapter| adapter.name == name)
    }

    /// What its KV caches have in common.
    pub fn kv_shape(&self) -> &Arc<KvShape> {
        &self.kv
    }

    /// The threads that compute.
    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Runs `tokens` through all layers behind what `cache` holds. Gives the last layer's output, normalised: one row
    /// of `hidden_size` a token. Ids must be below `vocab_size`, and the sequence within the context.
    pub fn forward(&self, tokens: &[u32], cache: &mut KvCache) -> Vec<f32> {
        self.forward_batch(&mut [Span { tokens, cache }])
    }

    /// The same for several sequences, which share one pass over the weights. Gives the rows of all spans, in their order.
    /// A token's numbers do not depend on what it goes through the model with.
    pub fn forward_batch(&self, spans: &mut [Span<'_>]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let tokens: usize = spans.iter().map(|span| span.tokens.len()).sum();
        if tokens == 0 {
            return Vec::new();
        }
        let mut x = Vec::with_capacity(tokens * hidden);
        for token in spans.iter().flat_map(|span| span.tokens) {
            let row = self.embedding.row(*token as usize);
            x.extend(row.iter().map(|v| v * self.embedding_scale));
        }
        let positions: Vec<usize> = (spans.iter())
            .flat_map(|span| (span.cache.len()..).take(span.tokens.len()))
            .collect();
        let adapted = Adapted::new(
            spans
                .iter()
                .map(|span| (span.tokens.len(), span.cache.adapter())),
        );
        let mut pass = Pass {
            adapted,
            ..Pass::default()
        };
        let rotations = |frequencies| Rotations::new(&self.threads, &positions, frequencies);
        let full = rotations(&self.full_frequencies);
        let sliding = rotations(&self.sliding_frequencies);
        for (index, layer) in self.layers.iter().enumerate() {
            let rotations = match layer.attention {
                Attention::Full => &full,
                Attention::Sliding => &sliding,
            };
            self.attend(index, layer, &mut x, spans, rotations, &mut pass);
            self.feed(index, layer, &mut x, &mut pass);
        }
        for span in spans {
            span.cache.advance(span.tokens.len());
        }
        let mut normed = pass.normed;
        let eps = self.config.rms_norm_eps;
        rms_norm(&self.threads, &x, &self.norm, eps, &mut normed);
        normed
    }

    /// The logits over the vocabulary of rows that `forward` gave.
    pub fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let mut logits = Vec::new();
        self.logits_into(hidden, &mut logits);
        logits
    }

    /// The same at the beginning of `room`, which grows if it must and never shrinks: a row is a megabyte.
    pub fn logits_into<'r>(&self, hidden: &[f32], room: &'r mut Vec<f32>) -> &'r [f32] {
        let len = hidden.len() / self.config.hidden_size * self.config.vocab_size;
        if room.len() < len {
            room.resize(len, 0.0);
        }
        let (logits, _) = room.split_at_mut(len);
        self.head().apply_to(&self.threads, hidden, logits);
        self.cap(logits);
        logits
    }

    /// The logits of these tokens only, the same to the bit as `logits` gives for them.
    pub fn logits_of(&self, tokens: &[u32], hidden: &[f32]) -> Vec<f32> {
        let mut logits = self.head().apply_rows(&self.threads, tokens, hidden);
        self.cap(&mut logits);
        logits
    }

    fn head(&self) -> &Matrix {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    fn cap(&self, logits: &mut [f32]) {
        if let Some(cap) = self.config.logit_softcap {
            for logit in logits {
                *logit = cap * (*logit / cap).tanh();
            }
        }
    }

    fn feed(&self, index: usize, layer: &Layer, x: &mut [f32], pass: &mut Pass) {
        let (threads, eps) = (&self.threads, self.config.rms_norm_eps);
        let Pass {
            adapted,
            normed,
            stacked,
            mixed,
            output,
            ..
        } = pass;
        rms_norm(threads, x, &layer.pre_mlp_norm, eps, normed);
        let width = self.config.intermediate_size;
        layer.gate_up.apply(threads, normed, stacked);
        let parts = [(Part::Gate, width), (Part::Up, width)];
        adapted.add(threads, index, &parts, normed, stacked);
        gelu_tanh_times(threads, stacked, width, mixed);
        layer.down.apply(threads, mixed, output);
        let parts = [(Part::Down, self.config.hidden_size)];
        adapted.add(threads, index, &parts, mixed, output);
        add_rms_norm(threads, x, output, &layer.post_mlp_norm, eps);
    }

    fn attend(
        &self,
        index: usize,
        layer: &Layer,
        x: &mut [f32],
        spans: &mut [Span<'_>],
        rotations: &Rotations,
        pass: &mut Pass,
    ) {
        let (c, threads) = (&self.config, &self.threads);
        let eps = c.rms_norm_eps;
        let Pass {
            adapted,
            normed,
            stacked,
            queries,
            keys,
            values,
            mixed,
            output,
        } = pass;
        rms_norm(threads, x, &layer.input_norm, eps, normed);
        layer.query_key_value.apply(threads, normed, stacked);
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let parts = [(Part::Query, q), (Part::Key, kv), (Part::Value, kv)];
        adapted.add(threads, index, &parts, normed, stacked);
        let columns = |start| Columns {
            numbers: stacked,
            width: q + 2 * kv,
            start,
        };
        let norm = &layer.query_norm;
        norm_and_rotate(threads, columns(0), q, norm, eps, rotations, queries);
        let norm = &layer.key_norm;
        norm_and_rotate(threads, columns(q), kv, norm, eps, rotations, keys);
        values.clear();
        for row in stacked.chunks_exact(q + 2 * kv) {
            values.extend_from_slice(row.get(q + kv..).unwrap_or_default());
        }
        let window = match layer.attention {
            Attention::Full => None,
            Attention::Sliding => Some(c.sliding_window),
        };
        mixed.resize(queries.len(), 0.0);
        let mut jobs = Vec::with_capacity(spans.len());
        let (mut queries, mut out) = (queries.as_slice(), mixed.as_mut_slice());
        let (mut keys, mut values) = (keys.as_slice(), values.as_slice());
        for span in spans {
            let count = span.tokens.len();
            span.cache.extend(
                index,
                part(&mut keys, count * kv),
                part(&mut values, count * kv),
            );
            let (parts, first_key) = span.cache.rows(index);
            let (own, rest) = std::mem::take(&mut out).split_at_mut(count * q);
            out = rest;
            jobs.push(AttentionJob {
                queries: part(&mut queries, count * q),
                first_query: span.cache.len(),
                parts,
                first_key,
                out: own,
            });
        }
        let shape = AttentionShape {
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
            scale: c.attention_scale,
            softcap: c.attention_softcap,
            window,
        };
        attention(threads, &shape, &mut jobs);
        layer.output.apply(threads, mixed, output);
        let parts = [(Part::Output, c.hidden_size)];
        adapted.add(threads, index, &parts, mixed, output);
        add_rms_norm(threads, x, output, &layer.post_attention_norm, eps);
    }
}

/// What is the same for all layers of a pass, and where they put what they compute, one after the other: memory that is new
/// is slow to come by.
#[derive(Debug, Default)]
struct Pass {
    adapted: Adapted,
    normed: Vec<f32>,
    /// Queries, keys and values of each token; then gate and up.
    stacked: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// What attention mixes; then what the gate lets through.
    mixed: Vec<f32>,
    output: Vec<f32>,
}

/// The first `len` of `rest`, which goes on behind them.
fn part<'a>(rest: &mut &'a [f32], len: usize) -> &'a [f32] {
    let (first, others) = rest.split_at(len);
    *rest = others;
    first
}
