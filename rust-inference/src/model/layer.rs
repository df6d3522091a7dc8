//! The weights of one layer. Matrices that are multiplied with the same activations are stacked into one.

use super::{Attention, Config, LoadError, source::Source};
use crate::kernels::{Layout, Matrix};

#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention: Attention,
    /// Rows of the queries, the keys, the values.
    pub(super) query_key_value: Matrix,
    pub(super) output: Matrix,
    /// Rows of the gate, then of what it lets through.
    pub(super) gate_up: Matrix,
    pub(super) down: Matrix,
    pub(super) query_norm: Vec<f32>,
    pub(super) key_norm: Vec<f32>,
    pub(super) input_norm: Vec<f32>,
    pub(super) post_attention_norm: Vec<f32>,
    pub(super) pre_mlp_norm: Vec<f32>,
    pub(super) post_mlp_norm: Vec<f32>,
}

impl Layer {
    pub(super) fn load(source: &Source<'_>, index: usize, c: &Config) -> Result<Self, LoadError> {
        let name = |part: &str| format!("model.layers.{index}.{part}.weight");
        let vector = |part: &str, len| source.vector(&name(part), len);
        let stacked = |parts: &[(&str, usize)], cols| {
            let parts: Vec<_> = (parts.iter())
                .map(|(part, rows)| (name(part), *rows))
                .collect();
            source.matrix(&parts, cols, Layout::Body)
        };
        let (queries, keys) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let (hidden, intermediate) = (c.hidden_size, c.intermediate_size);
        let attention = c.layers.get(index).copied().unwrap_or(Attention::Full);
        Ok(Self {
            attention,
            query_key_value: stacked(
                &[
                    ("self_attn.q_proj", queries),
                    ("self_attn.k_proj", keys),
                    ("self_attn.v_proj", keys),
                ],
                hidden,
            )?,
            output: stacked(&[("self_attn.o_proj", hidden)], queries)?,
            gate_up: stacked(
                &[
                    ("mlp.gate_proj", intermediate),
                    ("mlp.up_proj", intermediate),
                ],
                hidden,
            )?,
            down: stacked(&[("mlp.down_proj", hidden)], intermediate)?,
            query_norm: vector("self_attn.q_norm", c.head_dim)?,
            key_norm: vector("self_attn.k_norm", c.head_dim)?,
            input_norm: vector("input_layernorm", hidden)?,
            post_attention_norm: vector("post_attention_layernorm", hidden)?,
            pre_mlp_norm: vector("pre_feedforward_layernorm", hidden)?,
            post_mlp_norm: vector("post_feedforward_layernorm", hidden)?,
        })
    }

    /// Of the matrices, as they are kept.
    pub(super) fn bytes(&self) -> usize {
        let matrices = [
            &self.query_key_value,
            &self.output,
            &self.gate_up,
            &self.down,
        ];
        matrices.map(|m| m.bytes().len()).iter().sum()
    }

    /// Numbers.
    pub(super) fn parameters(&self) -> usize {
        let matrices = [
            &self.query_key_value,
            &self.output,
            &self.gate_up,
            &self.down,
        ];
        let norms = [
            &self.query_norm,
            &self.key_norm,
            &self.input_norm,
            &self.post_attention_norm,
            &self.pre_mlp_norm,
            &self.post_mlp_norm,
        ];
        matrices.map(|m| m.rows() * m.cols()).iter().sum::<usize>()
            + norms.map(Vec::len).iter().sum::<usize>()
    }
}
