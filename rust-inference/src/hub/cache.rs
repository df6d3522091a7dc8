//! Hugging Face's cache on disk: `models--org--name/{refs,snapshots,blobs}` below one directory.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::id::Id;
use crate::model::whole_directory;

pub(super) struct Cache {
    pub(super) root: PathBuf,
}

impl Cache {
    /// Where the environment says that it is.
    pub(super) fn standard() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let root = set("HF_HUB_CACHE")
            .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
            .map_or_else(|| home().join("hub"), PathBuf::from);
        Self { root }
    }

    /// The directory of one model.
    pub(super) fn of(&self, id: &Id) -> PathBuf {
        self.root
            .join(format!("models--{}", id.repo.replace('/', "--")))
    }

    /// What of a model is there whole.
    pub(super) fn find(&self, id: &Id) -> Option<PathBuf> {
        let model = self.of(id);
        let named = std::fs::read_to_string(model.join("refs").join(&id.revision));
        let commit = match named {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => id.revision.clone(),
        };
        if commit.is_empty() || commit.contains(['/', '\\']) || commit == ".." {
            return None;
        }
        let snapshot = model.join("snapshots").join(commit);
        match &id.file {
            None => whole_directory(&snapshot).then_some(snapshot),
            Some(wanted) => {
                let names = files(&snapshot);
                let name = gguf(names.iter().map(String::as_str), wanted)?;
                Some(snapshot.join(name)).filter(|path| path.is_file())
            }
        }
    }
}

/// Names of the files in a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// The one that is meant: by its name, or by its end (`Q8_0`), whatever the case is.
pub(super) fn gguf<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Option<&'a str> {
    let end = format!("{}.gguf", wanted.to_lowercase());
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let exact = names.iter().find(|name| **name == wanted);
    let by_end = || {
        (names.iter()).find(|name| {
            let name = name.to_lowercase();
            let before = name.strip_suffix(&end);
            before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_']))
        })
    };
    exact.or_else(by_end).copied()
}

/// Hugging Face's directory of the person.
pub(super) fn home() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    set("HF_HOME").map_or_else(
        || {
            let cache = set("XDG_CACHE_HOME").map_or_else(
                || PathBuf::from(set("HOME").unwrap_or_default()).join(".cache"),
                PathBuf::from,
            );
            cache.join("huggingface")
        },
        PathBuf::from,
    )
}

/// Whether the network is not to be asked.
pub(super) fn offline() -> bool {
    let set = env::var("HF_HUB_OFFLINE").unwrap_or_default();
    ["1", "true", "yes", "on"].contains(&set.to_lowercase().as_str())
}

/// What proves who asks, from the places where `hf auth login` and others leave it.
pub(super) fn token() -> Option<String> {
    let whole = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let set = |name: &str| env::var(name).ok().and_then(whole);
    let path = env::var_os("HF_TOKEN_PATH").map_or_else(|| home().join("token"), PathBuf::from);
    set("HF_TOKEN")
        .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
        .or_else(|| std::fs::read_to_string(path).ok().and_then(whole))
}
