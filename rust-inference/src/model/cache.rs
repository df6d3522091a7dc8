//! The KV cache of one sequence: keys and values of every layer for the positions seen so far.

use super::Config;

/// Grows with the sequence, up to the model's context. Each position has `kv_heads × head_dim` values a layer.
#[derive(Debug, Default)]
pub struct KvCache {
    layers: Vec<Layer>,
    positions: usize,
    width: usize,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    pub fn new(config: &Config) -> Self {
        Self {
            layers: vec![Layer::default(); config.layers.len()],
            positions: 0,
            width: config.kv_heads * config.head_dim,
        }
    }

    /// Positions that all layers have.
    pub fn len(&self) -> usize {
        self.positions
    }

    pub fn is_empty(&self) -> bool {
        self.positions == 0
    }

    /// Adds the new positions' keys and values of one layer and gives all of that layer's.
    pub(super) fn extend(
        &mut self,
        layer: usize,
        keys: &[f32],
        values: &[f32],
    ) -> (&[f32], &[f32]) {
        let Some(layer) = self.layers.get_mut(layer) else {
            return (&[], &[]);
        };
        layer.keys.extend_from_slice(keys);
        layer.values.extend_from_slice(values);
        (&layer.keys, &layer.values)
    }

    /// To be called once all layers were extended.
    pub(super) fn advance(&mut self) {
        self.positions = self
            .layers
            .first()
            .map_or(0, |layer| layer.keys.len() / self.width);
    }
}
