//! config.json and `generation_config.json`, in the spellings of old and new versions of transformers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::LoadError;

/// What a layer's queries may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Every earlier position.
    Full,
    /// The last `sliding_window` positions, the own one included.
    Sliding,
}

/// The model's shape and constants.
#[derive(Clone, Debug)]
pub struct Config {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub layers: Vec<Attention>,
    pub sliding_window: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
    pub rms_norm_eps: f32,
    /// Scores are multiplied by this: `query_pre_attn_scalar`^-½.
    pub attention_scale: f32,
    pub attention_softcap: Option<f32>,
    pub logit_softcap: Option<f32>,
    /// Of the full layers and of the sliding ones.
    pub rope_full: Rope,
    pub rope_sliding: Rope,
    pub tied: bool,
    /// Tokens that end a generation.
    pub eos: Vec<u32>,
}

/// Rotary position embedding: base, and the factor by which positions are divided.
#[derive(Clone, Copy, Debug)]
pub struct Rope {
    pub theta: f64,
    pub factor: f64,
}

impl Rope {
    /// `theta^(-2i/d) / factor` for each pair i.
    pub fn inverse_frequencies(self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|i| {
                (1.0 / (self.theta as f32).powf((2 * i) as f32 / head_dim as f32))
                    / self.factor as f32
            })
            .collect()
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    architectures: Vec<String>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    rms_norm_eps: f32,
    max_position_embeddings: usize,
    sliding_window: usize,
    query_pre_attn_scalar: Option<f32>,
    layer_types: Option<Vec<String>>,
    #[serde(alias = "_sliding_window_pattern")]
    sliding_window_pattern: Option<usize>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    rope_scaling: Option<RawRope>,
    rope_parameters: Option<BTreeMap<String, RawRope>>,
    attn_logit_softcapping: Option<f32>,
    final_logit_softcapping: Option<f32>,
    hidden_activation: Option<String>,
    attention_bias: Option<bool>,
    use_bidirectional_attention: Option<bool>,
    tie_word_embeddings: Option<bool>,
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
    factor: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

#[derive(Deserialize)]
struct RawGeneration {
    eos_token_id: Option<Ids>,
}

impl Config {
    pub fn parse(config: &[u8], generation: Option<&[u8]>) -> Result<Self, LoadError> {
        // Some checkpoints carry both spellings of one key, which an alias would call a duplicate.
        let mut json: serde_json::Value =
            serde_json::from_slice(config).map_err(|source| LoadError::Json {
                file: "config.json",
                source,
            })?;
        if let Some(map) = json.as_object_mut()
            && map.contains_key("sliding_window_pattern")
        {
            map.remove("_sliding_window_pattern");
        }
        let mut raw: Raw = serde_json::from_value(json).map_err(|source| LoadError::Json {
            file: "config.json",
            source,
        })?;
        raw.check()?;
        let generation: Option<RawGeneration> = generation
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|source| LoadError::Json {
                file: "generation_config.json",
                source,
            })?;
        let eos = match generation
            .and_then(|g| g.eos_token_id)
            .or(raw.eos_token_id.take())
        {
            Some(Ids::One(id)) => vec![id],
            Some(Ids::Many(ids)) => ids,
            None => Vec::new(),
        };
        let rope = |kind: &str, theta: Option<f64>, fallback: f64, scaling: Option<&RawRope>| {
            let new = raw.rope_parameters.as_ref().and_then(|p| p.get(kind));
            rope(
                new.and_then(|r| r.rope_theta).or(theta).unwrap_or(fallback),
                new.or(scaling),
            )
        };
        Ok(Self {
            rope_full: rope(
                "full_attention",
                raw.rope_theta,
                1e6,
                raw.rope_scaling.as_ref(),
            )?,
            rope_sliding: rope("sliding_attention", raw.rope_local_base_freq, 1e4, None)?,
            layers: raw.layers()?,
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            heads: raw.num_attention_heads,
            kv_heads: raw.num_key_value_heads,
            head_dim: raw.head_dim,
            sliding_window: raw.sliding_window,
            context: raw.max_position_embeddings,
            rms_norm_eps: raw.rms_norm_eps,
            attention_scale: raw.query_pre_attn_scalar.unwrap_or(256.0).powf(-0.5),
            attention_softcap: raw.attn_logit_softcapping,
            logit_softcap: raw.final_logit_softcapping,
            tied: raw.tie_word_embeddings.unwrap_or(true),
            eos,
        })
    }
}

impl Raw {
    /// Refuses by name what this engine would compute wrongly.
    fn check(&self) -> Result<(), LoadError> {
        let refuse = |what: String| Err(LoadError::Config(what));
        if let Some(other) = self
            .architectures
            .iter()
            .find(|a| *a != "Gemma3ForCausalLM")
        {
            return refuse(format!(
                "architecture {other} is not supported; expected Gemma3ForCausalLM"
            ));
        }
        if let Some(other) = self
            .hidden_activation
            .as_ref()
            .filter(|a| *a != "gelu_pytorch_tanh")
        {
            return refuse(format!(
                "hidden_activation {other} is not supported; expected gelu_pytorch_tanh"
            ));
        }
        if self.attention_bias == Some(true) || self.use_bidirectional_attention == Some(true) {
            return refuse(
                "attention_bias and use_bidirectional_attention are not supported".into(),
            );
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("sliding_window", self.sliding_window),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return refuse(format!("{name} is 0"));
        }
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size > 1 << 24) {
            return refuse(format!(
                "{name} is {size}, which no checkpoint of this architecture has"
            ));
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            return refuse(format!(
                "num_attention_heads {} is not a multiple of num_key_value_heads {}",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return refuse(format!(
                "head_dim {} is odd; rotary embedding needs pairs",
                self.head_dim
            ));
        }
        Ok(())
    }

    /// `layer_types` decides; older files only say that each `sliding_window_pattern`-th layer is full.
    fn layers(&self) -> Result<Vec<Attention>, LoadError> {
        let Some(types) = &self.layer_types else {
            let pattern = self.sliding_window_pattern.unwrap_or(6).max(1);
            let full = |layer: usize| (layer + 1).is_multiple_of(pattern);
            return Ok((0..self.num_hidden_layers)
                .map(|layer| {
                    if full(layer) {
                        Attention::Full
                    } else {
                        Attention::Sliding
                    }
                })
                .collect());
        };
        if types.len() != self.num_hidden_layers {
            return Err(LoadError::Config(format!(
                "layer_types has {} entries; expected num_hidden_layers = {}",
                types.len(),
                self.num_hidden_layers
            )));
        }
        types
            .iter()
            .map(|kind| match kind.as_str() {
                "full_attention" => Ok(Attention::Full),
                "sliding_attention" => Ok(Attention::Sliding),
                other => Err(LoadError::Config(format!(
                    "layer type {other}; expected full_attention or sliding_attention"
                ))),
            })
            .collect()
    }
}

fn rope(theta: f64, scaling: Option<&RawRope>) -> Result<Rope, LoadError> {
    let kind = scaling
        .and_then(|s| s.rope_type.as_deref())
        .unwrap_or("default");
    match kind {
        "default" => Ok(Rope { theta, factor: 1.0 }),
        "linear" => match scaling.and_then(|s| s.factor) {
            Some(factor) if factor > 0.0 => Ok(Rope { theta, factor }),
            _ => Err(LoadError::Config(
                "linear rope scaling needs a positive factor".into(),
            )),
        },
        other => Err(LoadError::Config(format!(
            "rope type {other} is not supported; expected default or linear"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: &str) -> Result<Config, LoadError> {
        let mut json: serde_json::Value = serde_json::from_str(
            r#"{"architectures":["Gemma3ForCausalLM"],"vocab_size":8,"hidden_size":4,"intermediate_size":8,"num_hidden_layers":3,
            "num_attention_heads":2,"num_key_value_heads":1,"head_dim":2,"rms_norm_eps":1e-6,"max_position_embeddings":16,
            "sliding_window":4,"_sliding_window_pattern":2,"eos_token_id":1}"#,
        )
        .unwrap();
        let serde_json::Value::Object(change) = serde_json::from_str(change).unwrap() else {
            panic!()
        };
        json.as_object_mut().unwrap().extend(change);
        Config::parse(json.to_string().as_bytes(), None)
    }

    #[test]
    fn old_and_new_spellings_are_read() {
        let old = config(r#"{"rope_theta":5e5,"rope_local_base_freq":2e4,"rope_scaling":{"type":"linear","factor":8}}"#).unwrap();
        assert_eq!(
            old.layers,
            [Attention::Sliding, Attention::Full, Attention::Sliding]
        );
        assert_eq!(
            (
                old.rope_full.theta,
                old.rope_full.factor,
                old.rope_sliding.theta
            ),
            (5e5, 8.0, 2e4)
        );
        assert!((old.rope_sliding.factor - 1.0).abs() < f64::EPSILON);
        let new = config(
            r#"{"layer_types":["full_attention","sliding_attention","full_attention"],"sliding_window_pattern":3,
            "rope_parameters":{"full_attention":{"rope_theta":3e6,"rope_type":"default"},"sliding_attention":{"rope_theta":7e3}}}"#,
        )
        .unwrap();
        assert_eq!(
            new.layers,
            [Attention::Full, Attention::Sliding, Attention::Full]
        );
        assert_eq!((new.rope_full.theta, new.rope_sliding.theta), (3e6, 7e3));
        assert_eq!(new.eos, [1]);
    }

    #[test]
    fn what_would_be_computed_wrongly_is_refused_by_name() {
        for (change, expected) in [
            (
                r#"{"architectures":["LlamaForCausalLM"]}"#,
                "LlamaForCausalLM",
            ),
            (
                r#"{"rope_scaling":{"rope_type":"yarn","factor":2}}"#,
                "yarn",
            ),
            (r#"{"hidden_activation":"relu"}"#, "relu"),
            (
                r#"{"num_attention_heads":3,"num_key_value_heads":2}"#,
                "multiple",
            ),
            (r#"{"layer_types":["full_attention"]}"#, "1 entries"),
            (r#"{"head_dim":0}"#, "head_dim is 0"),
            (r#"{"head_dim":3}"#, "odd"),
            (r#"{"hidden_size":"x"}"#, "config.json"),
        ] {
            let message = config(change).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
