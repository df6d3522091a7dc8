//! `LoRA` adapters as PEFT writes them: a directory with `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A layer's matrix W becomes W + scale · B · A, with A and B so narrow that an adapter is a few megabytes. Either the
//! sum is made at loading, or both are held beside W, for the requests that name the adapter.

use std::{collections::BTreeMap, fs, path::Path};

use regex_automata::{
    Anchored, Input,
    dfa::{Automaton, dense},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Bytes, Config, LoadError, weights::Tensors};
use crate::kernels::Values;

/// A matrix of a layer that adapters can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// As checkpoints call it.
    fn name(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Rows and columns.
    fn shape(self, c: &Config) -> (usize, usize) {
        let (queries, keys) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        match self {
            Self::Query => (queries, c.hidden_size),
            Self::Key | Self::Value => (keys, c.hidden_size),
            Self::Output => (c.hidden_size, queries),
            Self::Gate | Self::Up => (c.intermediate_size, c.hidden_size),
            Self::Down => (c.hidden_size, c.intermediate_size),
        }
    }
}

/// What is added to one matrix: `up · down`.
#[derive(Debug)]
pub(super) struct Delta {
    /// Rank × columns.
    pub(super) down: Vec<f32>,
    /// Rank × rows, the scale multiplied in: a column of B is a row here.
    pub(super) up: Vec<f32>,
}

/// An adapter's matrices, by layer and part.
#[derive(Debug)]
pub(super) struct Lora(BTreeMap<(usize, Part), Delta>);

#[derive(Deserialize)]
struct Raw {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    /// In the file's order: the first that fits counts.
    alpha_pattern: Option<Map<String, Value>>,
    bias: Option<String>,
}

/// Settings that would change what is computed, and that this engine does not know.
const UNKNOWN: [&str; 13] = [
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "fan_in_fan_out",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
];

/// Bytes that the automaton of a pattern may take.
const PATTERN: usize = 1 << 20;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

impl Raw {
    fn read(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join(CONFIG);
        let text = fs::read(&path).map_err(|source| LoadError::Read { path, source })?;
        let json = |source| LoadError::Json {
            file: CONFIG,
            source,
        };
        let whole: Value = serde_json::from_slice(&text).map_err(json)?;
        let raw: Self = serde_json::from_value(whole.clone()).map_err(json)?;
        let refuse = |what: &str| {
            Err(LoadError::Adapter(format!(
                "{CONFIG}: {what} is not supported; train a plain LoRA adapter, or merge it with peft (merge_and_unload)"
            )))
        };
        if raw.peft_type != "LORA" {
            return refuse(&format!("peft_type {}", raw.peft_type));
        }
        if let Some(bias) = raw.bias.as_deref().filter(|bias| *bias != "none") {
            return refuse(&format!("bias {bias}"));
        }
        let is_set = |name: &&&str| match whole.get(**name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(_) => true,
        };
        if let Some(name) = UNKNOWN.iter().find(is_set) {
            return refuse(name);
        }
        if raw.r == 0 {
            return refuse("r 0");
        }
        Ok(raw)
    }

    /// The factor of a module's B · A; `module` is its whole name in the model. The rank is that of the matrices, which
    /// `rank_pattern` has decided about.
    fn scale(&self, module: &str, rank: usize) -> Result<f32, LoadError> {
        let mut alpha = self.lora_alpha;
        for (pattern, of_pattern) in self.alpha_pattern.iter().flatten() {
            if matches(pattern, module)? {
                alpha = of_pattern.as_f64().unwrap_or(f64::NAN);
                break;
            }
        }
        if !alpha.is_finite() {
            let what = format!("{CONFIG}: the lora_alpha of {module} is no number");
            return Err(LoadError::Adapter(what));
        }
        let divisor = if self.use_rslora {
            (rank as f64).sqrt()
        } else {
            rank as f64
        };
        Ok((alpha / divisor) as f32)
    }
}

/// Whether a pattern of PEFT's means a module: it is a regular expression for the end of its name, from a dot on.
fn matches(pattern: &str, module: &str) -> Result<bool, LoadError> {
    let wrong = |error: &dyn std::fmt::Display| {
        LoadError::Adapter(format!(
            "{CONFIG}: the pattern {pattern:?} is not read: {error}"
        ))
    };
    let automaton = dense::Builder::new()
        .configure(
            dense::Config::new()
                .dfa_size_limit(Some(PATTERN))
                .determinize_size_limit(Some(PATTERN)),
        )
        .build(&format!(r"(?:.*\.)?(?:{pattern})\z"))
        .map_err(|error| wrong(&error))?;
    let input = Input::new(module).anchored(Anchored::Yes);
    Ok(automaton
        .try_search_fwd(&input)
        .map_err(|error| wrong(&error))?
        .is_some())
}

impl Lora {
    /// Of a directory, for a model of this shape.
    pub(super) fn open(dir: &Path, config: &Config) -> Result<Self, LoadError> {
        let raw = Raw::read(dir)?;
        let path = dir.join(WEIGHTS);
        let bytes = fs::read(&path).map_err(|source| LoadError::Read { path, source })?;
        let files = [(WEIGHTS.to_owned(), Bytes::Owned(bytes))];
        let tensors = Tensors::open(&files)?;
        let mut deltas = BTreeMap::new();
        let names = tensors.names();
        for name in &names {
            let (layer, part) = target(name).ok_or_else(|| {
                LoadError::Adapter(format!(
                    "{WEIGHTS}: tensor {name} is of no matrix that adapters can change here; expected lora_A and lora_B of \
                     q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or down_proj"
                ))
            })?;
            if layer >= config.layers.len() {
                return Err(LoadError::Adapter(format!(
                    "{WEIGHTS}: tensor {name} is of layer {layer}; the model has {}: is it for another model?",
                    config.layers.len()
                )));
            }
            let Some(module) = name.strip_suffix(".lora_A.weight") else {
                continue;
            };
            let (rows, cols) = part.shape(config);
            let rank = tensors.rows(name);
            let down = tensors.values(name, &[rank, cols])?.into_f32();
            let up = tensors.values(&format!("{module}.lora_B.weight"), &[rows, rank])?;
            let own = module.strip_prefix("base_model.model.").unwrap_or(module);
            let scale = raw.scale(own, rank.max(1))?;
            let up = transposed(&up.into_f32(), rank, scale);
            deltas.insert((layer, part), Delta { down, up });
        }
        let alone = names.len() != 2 * deltas.len();
        match names.first() {
            None => Err(LoadError::Adapter(format!("{WEIGHTS} is empty"))),
            Some(_) if alone => Err(LoadError::Adapter(format!(
                "{WEIGHTS}: a lora_B is there without its lora_A"
            ))),
            Some(_) => Ok(Self(deltas)),
        }
    }

    pub(super) fn delta(&self, layer: usize, part: Part) -> Option<&Delta> {
        self.0.get(&(layer, part))
    }

    /// The values of a tensor of this name and shape, with what belongs to it.
    pub(super) fn merged(&self, name: &str, shape: &[usize], values: Values) -> Values {
        let delta = (name.strip_suffix(".weight").and_then(module))
            .and_then(|(layer, part)| self.delta(layer, part));
        let (Some(delta), [rows, cols]) = (delta, shape) else {
            return values;
        };
        let mut values = values.into_f32();
        let pairs = delta
            .up
            .chunks_exact(*rows)
            .zip(delta.down.chunks_exact(*cols));
        for (up, down) in pairs {
            for (row, factor) in values.chunks_exact_mut(*cols).zip(up) {
                row.iter_mut()
                    .zip(down)
                    .for_each(|(value, a)| *value += factor * a);
            }
        }
        Values::F32(values)
    }
}

/// The layer and the part that an adapter's tensor is of.
fn target(name: &str) -> Option<(usize, Part)> {
    let rest = name.strip_prefix("base_model.model.").unwrap_or(name);
    let tensor =
        (rest.strip_suffix(".lora_A.weight")).or_else(|| rest.strip_suffix(".lora_B.weight"));
    module(tensor?)
}

/// Those that a module's name means.
fn module(name: &str) -> Option<(usize, Part)> {
    let (layer, module) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let part = Part::ALL.into_iter().find(|part| part.name() == module)?;
    Some((layer.parse().ok()?, part))
}

fn transposed(values: &[f32], cols: usize, scale: f32) -> Vec<f32> {
    (0..cols)
        .flat_map(|col| {
            values
                .iter()
                .skip(col)
                .step_by(cols)
                .map(move |v| v * scale)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_modules_as_pefts_do() {
        let module = "model.layers.11.self_attn.q_proj";
        for (pattern, expected) in [
            ("q_proj", true),
            ("self_attn.q_proj", true),
            ("model.layers.11.self_attn.q_proj", true),
            (r"layers\.1[0-9]\.self_attn\.(q|k)_proj", true),
            ("1.self_attn.q_proj", false),
            ("proj", false),
            ("k_proj", false),
            ("^model.layers.11.self_attn.q_proj", true),
        ] {
            assert_eq!(matches(pattern, module).unwrap(), expected, "{pattern}");
        }
        assert!(matches("(", module).is_err());
        assert!(matches("(a|b){500}{500}", module).is_err());
    }
}
