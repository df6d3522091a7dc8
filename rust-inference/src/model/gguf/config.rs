//! The configuration that a GGUF's metadata holds, as the config.json of the checkpoint that it was made from: the
//! checks of what this engine can run are in one place, [`super::super::Config`].

use serde_json::{Value as Json, json};

use super::{
    Gguf,
    reader::{Value, Wrong},
};

/// The keys' first part, and the architecture's name.
const ARCHITECTURE: &str = "gemma3";

/// Layers of the one Gemma 3 model whose scores are scaled by its hidden size, which llama.cpp knows it by.
const LAYERS_OF_27B: u64 = 62;

impl Gguf<'_> {
    /// config.json and `generation_config.json`.
    pub(in crate::model) fn config(&self) -> Result<(Vec<u8>, Vec<u8>), Wrong> {
        match self.text("general.architecture")? {
            Some(ARCHITECTURE) => {}
            Some(other) => {
                return Err(format!(
                    "architecture {other} is not supported; expected {ARCHITECTURE}"
                ));
            }
            None => return Err("metadata general.architecture is missing".into()),
        }
        if let Some(parts) = self.natural("split.count")?.filter(|parts| *parts > 1) {
            return Err(format!(
                "it is one of {parts} parts; join them first (llama-gguf-split --merge)"
            ));
        }
        let key = |name: &str| format!("{ARCHITECTURE}.{name}");
        let natural = |name: &str| self.natural(&key(name));
        let real = |name: &str| self.real(&key(name));
        let needed =
            |name: &str| natural(name)?.ok_or_else(|| format!("metadata {} is missing", key(name)));
        let embedding = self
            .tensors
            .get("token_embd.weight")
            .ok_or("tensor token_embd.weight is missing")?;
        let (layers, hidden) = (needed("block_count")?, needed("embedding_length")?);
        let heads = needed("attention.head_count")?;
        let context = needed("context_length")?;
        let head_dim = match natural("attention.key_length")? {
            Some(length) => length,
            None => hidden.checked_div(heads).unwrap_or_default(),
        };
        if let Some(other) = natural("attention.value_length")?.filter(|length| *length != head_dim)
        {
            return Err(format!(
                "metadata {} is {other}; expected that of the keys, {head_dim}",
                key("attention.value_length")
            ));
        }
        let window = natural("attention.sliding_window")?.filter(|window| *window > 0);
        let scalar = if layers == LAYERS_OF_27B {
            hidden.checked_div(heads).unwrap_or_default()
        } else {
            head_dim
        };
        let config = json!({
            "architectures": ["Gemma3ForCausalLM"],
            "vocab_size": embedding.shape.first(),
            "hidden_size": hidden,
            "intermediate_size": needed("feed_forward_length")?,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": natural("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": head_dim,
            "rms_norm_eps": real("attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| format!("metadata {} is missing", key("attention.layer_norm_rms_epsilon")))?,
            "max_position_embeddings": context,
            "sliding_window": window.unwrap_or(context),
            "layer_types": self.layer_types(layers, window.is_some())?,
            "query_pre_attn_scalar": scalar,
            "rope_theta": real("rope.freq_base")?.unwrap_or(1e6),
            "rope_local_base_freq": real("rope.freq_base_swa")?.unwrap_or(1e4),
            "rope_scaling": self.rope_scaling()?,
            "final_logit_softcapping": real("final_logit_softcapping")?.filter(|cap| *cap > 0.0),
            "tie_word_embeddings": !self.tensors.contains_key("output.weight"),
        });
        let generation = json!({"eos_token_id": self.ends()?});
        Ok((
            config.to_string().into_bytes(),
            generation.to_string().into_bytes(),
        ))
    }

    /// Every sixth layer sees everything, unless the file says otherwise; without a window all do.
    fn layer_types(&self, layers: u64, window: bool) -> Result<Vec<&'static str>, Wrong> {
        let key = format!("{ARCHITECTURE}.attention.sliding_window_pattern");
        // A header may claim any number; no model has so many.
        let layers = u16::try_from(layers).map_err(|_| format!("{layers} layers are too many"))?;
        let of = |sliding| {
            if sliding {
                "sliding_attention"
            } else {
                "full_attention"
            }
        };
        if !window {
            return Ok(vec![of(false); layers.into()]);
        }
        let period = match self.get(&key) {
            None => 6,
            Some(Value::Natural(period)) if *period > 0 => *period,
            Some(Value::Bools(sliding)) => {
                return Ok(sliding.iter().map(|sliding| of(*sliding)).collect());
            }
            Some(_) => {
                return Err(format!(
                    "metadata {key} is neither a period nor a list of truth values"
                ));
            }
        };
        Ok((1..=u64::from(layers))
            .map(|layer| of(!layer.is_multiple_of(period)))
            .collect())
    }

    fn rope_scaling(&self) -> Result<Option<Json>, Wrong> {
        let key = |name: &str| format!("{ARCHITECTURE}.rope.{name}");
        let factor = match self.real(&key("scaling.factor"))? {
            Some(factor) => Some(factor),
            None => self.real(&key("scale_linear"))?,
        };
        let kind = self.text(&key("scaling.type"))?;
        Ok(match (kind, factor) {
            (None | Some("none"), None) | (Some("none"), _) => None,
            (kind, factor) => {
                Some(json!({"rope_type": kind.unwrap_or("linear"), "factor": factor}))
            }
        })
    }

    /// Tokens that end a generation: those that the file names, and those by which Gemma ends a turn.
    fn ends(&self) -> Result<Vec<u64>, Wrong> {
        let mut ends = Vec::new();
        for key in ["eos", "eot", "eom"] {
            ends.extend(self.natural(&format!("tokenizer.ggml.{key}_token_id"))?);
        }
        for text in ["<end_of_turn>", "<start_function_response>"] {
            let tokens = self.tokens()?;
            ends.extend(
                tokens
                    .iter()
                    .position(|token| *token == text)
                    .map(|id| id as u64),
            );
        }
        ends.sort_unstable();
        ends.dedup();
        Ok(ends)
    }
}
