//! From `--model mistralrs:MODEL` to a model that mistral.rs computes, or to how to build this program with it.

use ipc::program::Failure;
use rust_inference::service::Offer;
#[cfg(feature = "mistralrs")]
use {
    crate::{cli::Kind, load},
    rust_inference::backend::{Backend, Guarantee, mistralrs::MistralRs},
    std::{path::PathBuf, sync::Arc},
};

use crate::{cli::Named, offers::Means};

/// A model that mistral.rs computes.
#[cfg(feature = "mistralrs")]
pub(crate) fn offer(named: &Named, means: &Means) -> Result<Offer, Failure> {
    let source = PathBuf::from(&named.source);
    // Opened now, so that what is misspelt is found now.
    let found = load::find(&source)?;
    let dir = found.path;
    if !dir.is_dir() {
        return Err(Failure::usage(
            format!("{} is no directory", dir.display()),
            "give mistralrs:MODEL with the directory of a Hugging Face model, or its name there",
        ));
    }
    let stem = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = named
        .name
        .clone()
        .or(found.name)
        .or(stem)
        .unwrap_or_default();
    let (called, parallel, max_tokens) = (name.clone(), means.capacity.parallel, means.max_tokens);
    let memory_bytes = MistralRs::bytes(&dir);
    let open = Box::new(move || {
        let loaded = MistralRs::load(&called, &dir, parallel, max_tokens);
        loaded
            .map(|model| Arc::new(model) as Arc<dyn Backend>)
            .map_err(|error| {
                Failure::usage(
                    format!("cannot load the model {}: {error}", dir.display()),
                    "give mistralrs:MODEL with config.json, tokenizer.json and *.safetensors of a model that knows FunctionGemma's format",
                )
            })
    });
    Ok(Offer {
        name,
        backend: Kind::Mistralrs.word(),
        source: named.source.clone(),
        remote: false,
        guarantee: Guarantee::Constrained,
        memory_bytes,
        open,
    })
}

#[cfg(not(feature = "mistralrs"))]
pub(crate) fn offer(named: &Named, _means: &Means) -> Result<Offer, Failure> {
    Err(Failure::usage(
        format!(
            "{} asks for mistral.rs, which this program was built without",
            named.source
        ),
        "cargo build --release -p rust-inference --no-default-features --features mistralrs (or mistralrs-cuda, mistralrs-metal)",
    ))
}
