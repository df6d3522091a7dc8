//! From a model's name or path to a loaded model, with what to do where that fails.

use std::path::{Path, PathBuf};

use ipc::program::Failure;
use rust_inference::{
    embedded,
    hub::{self, Found, HubError},
    model::{LoadError, LoadOptions, Model, ModelFiles},
};

/// The model of the program itself, among others that are named.
pub(crate) const BUILT_IN: &str = "built-in";

/// Holds adapters beside a model, for requests that name them.
pub(crate) fn add_adapters(
    model: &mut Model,
    adapters: &[(String, PathBuf)],
) -> Result<(), Failure> {
    for (name, dir) in adapters {
        model.add_adapter(name, dir).map_err(|error| {
            Failure::usage(
                format!(
                    "cannot load the adapter {name} from {}: {error}",
                    dir.display()
                ),
                "give --adapter NAME=DIR with a PEFT directory of a LoRA adapter for this model",
            )
        })?;
    }
    Ok(())
}

/// The model that was named, or the one that is built in, with an adapter merged into it.
pub(crate) fn model(
    name: Option<&Path>,
    lora: Option<&Path>,
    options: &LoadOptions,
) -> Result<Model, Failure> {
    let mut files = match name {
        Some(name) => files(name)?,
        None => embedded::files(),
    };
    files.lora = lora.map(Into::into);
    Model::load(&files, options).map_err(|error| match (&error, name) {
        (LoadError::Adapter(_), _) => Failure::usage(
            format!("cannot load {error}"),
            "give --lora the PEFT directory of a LoRA adapter for this model",
        ),
        (_, Some(name)) => unusable(name, &error),
        (_, None) if lora.is_some() => unusable(Path::new(embedded::NAME), &error),
        (_, None) => Failure::new(error, "rebuild: the model built in is damaged"),
    })
}

/// What is to be loaded: the word [`BUILT_IN`], a path, or a name on Hugging Face.
pub(crate) fn files(model: &Path) -> Result<ModelFiles, Failure> {
    if model == Path::new(BUILT_IN) {
        return Ok(embedded::files());
    }
    let found = find(model)?;
    let mut files = ModelFiles::open(&found.path).map_err(|error| unusable(model, &error))?;
    if let Some(name) = found.name {
        files.name = name;
    }
    Ok(files)
}

/// Where a path or a name on Hugging Face leads; it is downloaded if it must be.
pub(crate) fn find(model: &Path) -> Result<Found, Failure> {
    hub::resolve(model).map_err(|error| {
        let hint = match &error {
            HubError::NoSuchPath { .. } => "give --model what is there, or leave it out",
            _ => "or leave --model out: then the small model that is built in serves",
        };
        Failure::usage(error, hint)
    })
}

fn unusable(model: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(
        format!("cannot load the model {}: {error}", model.display()),
        "give --model a directory with config.json, tokenizer.json and *.safetensors of a Gemma 3 text model, or a .gguf of one, or leave it out",
    )
}
