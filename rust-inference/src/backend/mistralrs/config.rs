//! What has to be known of a model beside its logits: how many tokens there are, how long a text may be, what ends it.

use std::{fs, path::Path};

use serde::Deserialize;

use super::MistralRsError;

#[derive(Debug)]
pub(super) struct Config {
    pub(super) vocabulary: usize,
    pub(super) context: usize,
    /// Tokens that end an answer.
    pub(super) ends: Vec<u32>,
    /// Of the weights on disk.
    pub(super) bytes: usize,
}

/// Of config.json, or of the `text_config` in it.
#[derive(Debug, Deserialize)]
struct Shape {
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    eos_token_id: Option<Ends>,
    model_type: Option<String>,
    layer_types: Option<Vec<String>>,
    sliding_window_pattern: Option<usize>,
    text_config: Option<Box<Shape>>,
}

impl Shape {
    /// Of Gemma 3 mistral.rs reads only every how many layers one sees everything; that it is computed otherwise than
    /// the checkpoint says nobody would notice.
    fn check(&self) -> Result<(), String> {
        let gemma = (self.model_type.as_deref()).is_some_and(|kind| kind.starts_with("gemma3"));
        let Some(layers) = self.layer_types.as_ref().filter(|_| gemma) else {
            return Ok(());
        };
        let every = self.sliding_window_pattern.unwrap_or(6).max(1);
        let differs = (layers.iter().enumerate())
            .any(|(index, kind)| (kind == "full_attention") != ((index + 1) % every == 0));
        if differs {
            return Err(format!(
                "mistral.rs goes by sliding_window_pattern ({every} here), and layer_types says otherwise: set it to what \
                 layer_types means"
            ));
        }
        Ok(())
    }
}

/// What `generation_config.json` says beside.
#[derive(Debug, Default, Deserialize)]
struct Generation {
    eos_token_id: Option<Ends>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Several(Vec<u32>),
}

impl Config {
    pub(super) fn read(dir: &Path) -> Result<Self, MistralRsError> {
        let wrong = |what: String| MistralRsError::File {
            file: "config.json".to_owned(),
            what,
        };
        let outer: Shape = serde_json::from_slice(&read(dir, "config.json")?)
            .map_err(|error| wrong(error.to_string()))?;
        for text in [Some(&outer), outer.text_config.as_deref()]
            .into_iter()
            .flatten()
        {
            text.check().map_err(wrong)?;
        }
        let generation: Generation = match read(dir, "generation_config.json") {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| MistralRsError::File {
                file: "generation_config.json".to_owned(),
                what: error.to_string(),
            })?,
            Err(_) => Generation::default(),
        };
        let ends = [generation.eos_token_id, outer.eos_token_id];
        let text = outer.text_config.as_deref();
        let missing = |what: &str| wrong(format!("there is no {what}"));
        let vocabulary = outer.vocab_size.or(text.and_then(|text| text.vocab_size));
        let context =
            (outer.max_position_embeddings).or(text.and_then(|text| text.max_position_embeddings));
        Ok(Self {
            vocabulary: vocabulary.ok_or_else(|| missing("vocab_size"))?,
            context: context.ok_or_else(|| missing("max_position_embeddings"))?,
            ends: (ends.into_iter().flatten())
                .flat_map(|ends| match ends {
                    Ends::One(id) => vec![id],
                    Ends::Several(ids) => ids,
                })
                .collect(),
            bytes: weights(dir),
        })
    }
}

pub(super) fn read(dir: &Path, file: &str) -> Result<Vec<u8>, MistralRsError> {
    fs::read(dir.join(file)).map_err(|error| MistralRsError::File {
        file: file.to_owned(),
        what: error.to_string(),
    })
}

pub(super) fn weights(dir: &Path) -> usize {
    let Ok(files) = fs::read_dir(dir) else {
        return 0;
    };
    let weights = files.flatten().filter(|file| {
        let path = file.path();
        path.extension()
            .is_some_and(|ending| ending == "safetensors")
    });
    weights
        .filter_map(|file| Some(file.metadata().ok()?.len() as usize))
        .sum()
}
