//! Which files of a directory hold a checkpoint's weights. Others lie beside them often: an adapter, the same weights in
//! another layout (`consolidated.safetensors`), what is left of a download.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::LoadError;

const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The safetensors files of a checkpoint, all of which are there.
pub(super) fn shards(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let index = dir.join(INDEX);
    let names = if index.exists() {
        listed(&index)?
    } else if dir.join(WHOLE).exists() {
        BTreeSet::from([WHOLE.to_owned()])
    } else {
        numbered(dir)?
    };
    let paths = names.into_iter().map(|name| {
        let path = dir.join(&name);
        if path.is_file() {
            Ok(path)
        } else {
            Err(LoadError::MissingShard(path))
        }
    });
    paths.collect()
}

/// What the index says.
pub fn listed(path: &Path) -> Result<BTreeSet<String>, LoadError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = fs::read(path).map_err(|source| LoadError::Read {
        path: path.into(),
        source,
    })?;
    let index: Index = serde_json::from_slice(&text).map_err(|source| LoadError::Json {
        file: INDEX,
        source,
    })?;
    let names: BTreeSet<_> = index.weight_map.into_values().collect();
    // An index that somebody made must not open files elsewhere.
    match names.iter().find(|name| name.contains(['/', '\\'])) {
        Some(outside) => Err(LoadError::ForeignShard(outside.clone())),
        None if names.is_empty() => Err(LoadError::NoWeights(path.into())),
        None => Ok(names),
    }
}

/// Without an index: `model-00001-of-00003.safetensors` says how many there are; else a single file is meant.
fn numbered(dir: &Path) -> Result<BTreeSet<String>, LoadError> {
    let entries = fs::read_dir(dir).map_err(|source| LoadError::Read {
        path: dir.into(),
        source,
    })?;
    let names: BTreeSet<String> = (entries.filter_map(Result::ok))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".safetensors") && !name.starts_with("adapter_"))
        .collect();
    let count = |name: &str| {
        let (_, count) = name.strip_prefix("model-")?.split_once("-of-")?;
        count.strip_suffix(".safetensors")?.parse::<u32>().ok()
    };
    // More than any checkpoint has would only be many names.
    if let Some(count) = names
        .iter()
        .find_map(|name| count(name))
        .filter(|count| *count <= 9999)
    {
        let shard = |number| format!("model-{number:05}-of-{count:05}.safetensors");
        return Ok((1..=count).map(shard).collect());
    }
    if names.len() == 1 {
        Ok(names)
    } else {
        Err(LoadError::NoWeights(dir.into()))
    }
}

/// Whether a directory has all that a model is loaded from.
pub fn whole_directory(dir: &Path) -> bool {
    let file = |name: &str| dir.join(name).is_file();
    file("config.json") && file("tokenizer.json") && shards(dir).is_ok()
}
