//! From the command line to a loaded model, with what to do where that fails.

use std::path::{Path, PathBuf};

use clap::Args;
use ipc::program::Failure;
use rust_inference::{
    embedded,
    hub::{self, HubError},
    model::{LoadError, LoadOptions, Model, ModelFiles},
};

/// Which model, with which adapters.
#[derive(Args, Debug)]
pub(crate) struct Choice {
    /// A directory or a .gguf file of a Gemma 3 text model, or its name on Hugging Face: org/name, org/name@revision,
    /// org/name:file.gguf [default: the small model that is built in]
    #[arg(long, value_name = "MODEL", env = "CALLSPAN_MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// The PEFT directory of a `LoRA` adapter, merged into the model's weights
    #[arg(long, value_name = "DIR", env = "CALLSPAN_LORA")]
    pub(crate) lora: Option<PathBuf>,
    /// The PEFT directory of a `LoRA` adapter that requests may name; may be given several times
    #[arg(long = "adapter", value_name = "NAME=DIR", value_parser = named)]
    pub(crate) adapters: Vec<(String, PathBuf)>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, dir)) if !name.is_empty() && !dir.is_empty() => Ok((name.into(), dir.into())),
        _ => Err("give NAME=DIR".into()),
    }
}

impl Choice {
    pub(crate) fn load(&self, options: &LoadOptions) -> Result<Model, Failure> {
        let mut model = model(self.model.as_deref(), self.lora.as_deref(), options)?;
        for (name, dir) in &self.adapters {
            model.add_adapter(name, dir).map_err(|error| {
                Failure::usage(
                    format!("cannot load the adapter {name} from {}: {error}", dir.display()),
                    "give --adapter NAME=DIR with a PEFT directory of a LoRA adapter for this model",
                )
            })?;
        }
        Ok(model)
    }
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

fn files(model: &Path) -> Result<ModelFiles, Failure> {
    let found = hub::resolve(model).map_err(|error| {
        let hint = match &error {
            HubError::NoSuchPath { .. } => "give --model what is there, or leave it out",
            _ => "or leave --model out: then the small model that is built in serves",
        };
        Failure::usage(error, hint)
    })?;
    let mut files = ModelFiles::open(&found.path).map_err(|error| unusable(model, &error))?;
    if let Some(name) = found.name {
        files.name = name;
    }
    Ok(files)
}

fn unusable(model: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(
        format!("cannot load the model {}: {error}", model.display()),
        "give --model a directory with config.json, tokenizer.json and *.safetensors of a Gemma 3 text model, or a .gguf of one, or leave it out",
    )
}
