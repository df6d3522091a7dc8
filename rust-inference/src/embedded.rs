//! The model that is built into the program, so that it serves with no download.

use crate::model::{LoadError, LoadOptions, Model, ModelFiles};

/// What the built-in model is called in answers.
pub const NAME: &str = "callspan-default";

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../models/default/", $name))
    };
}

/// The files of `models/default/`.
pub fn files() -> ModelFiles {
    ModelFiles::built_in(
        NAME,
        file!("config.json"),
        file!("generation_config.json"),
        file!("tokenizer.json"),
        file!("model.safetensors"),
    )
}

pub fn model() -> Result<Model, LoadError> {
    Model::load(&files(), &LoadOptions::default())
}
