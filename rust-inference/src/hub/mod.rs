//! Models by name: what `--model` says, found on disk, in Hugging Face's cache, or on the Hub.
//!
//! The cache is the one that all of Hugging Face's libraries share, in its documented layout, so that nothing is
//! downloaded twice. What is in it is used as it is, with no question to the network. The crate hf-hub is not used: it
//! needs a C compiler for its TLS, and does not check what it downloaded.

mod cache;
mod download;
mod http;
mod id;
mod progress;
mod verify;

use std::path::{Path, PathBuf};

use self::{cache::Cache, id::Id};

/// Why a model is not to be had. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("there is no {path}{why}", path = .path.display())]
    NoSuchPath { path: PathBuf, why: String },
    #[error("{0} is not in the cache {1}, and HF_HUB_OFFLINE forbids to download it")]
    Offline(Id, PathBuf),
    #[error(
        "cannot download {id} from {host}: {source}; without a network, download it elsewhere (hf download {repo}) and give its directory",
        repo = .id.repo
    )]
    Unreachable {
        id: Id,
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{host} refuses {id} ({status}): accept its terms on {host}/{repo}, and set HF_TOKEN to a token of yours that may read it",
        repo = .id.repo
    )]
    Refused { id: Id, host: String, status: u16 },
    #[error("{host} has no {id}: is it spelt as on its page?")]
    Unknown { id: Id, host: String },
    #[error("{id} {what}")]
    Unusable { id: Id, what: String },
    #[error("{file} was not downloaded whole: {what}")]
    Damaged { file: String, what: String },
    #[error("{path}: {source}", path = .path.display())]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// A model on disk.
#[derive(Debug)]
pub struct Found {
    /// A directory or a .gguf file.
    pub path: PathBuf,
    /// What it is called, where its path does not say so.
    pub name: Option<String>,
}

/// What `--model` means: a path, if there is one, else an id as `org/name`, `org/name@revision`, or
/// `org/name:file.gguf`.
pub fn resolve(model: &Path) -> Result<Found, HubError> {
    if model.exists() {
        return Ok(Found {
            path: model.into(),
            name: None,
        });
    }
    let id = Id::parse(model)?;
    let cache = Cache::standard();
    let path = match cache.find(&id) {
        Some(path) => path,
        None if cache::offline() => return Err(HubError::Offline(id, cache.root)),
        None => download::fetch(&id, &cache)?,
    };
    let repo = id.repo.rsplit('/').next().map(ToOwned::to_owned);
    let name = if id.file.is_some() { None } else { repo };
    Ok(Found { path, name })
}
