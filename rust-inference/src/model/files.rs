//! The files of a checkpoint in the Hugging Face layout, in memory, from a directory or built in.

use std::{
    fs::{self, File},
    ops::Deref,
    path::Path,
};

use memmap2::Mmap;

use super::{LoadError, Sources};

/// The bytes of one file.
#[derive(Debug)]
pub enum Bytes {
    Static(&'static [u8]),
    Owned(Vec<u8>),
    Mapped(Mmap),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// What a model is loaded from.
#[derive(Debug)]
pub struct ModelFiles {
    /// What the model is called in answers.
    pub name: String,
    pub config: Bytes,
    /// May be absent in a checkpoint.
    pub generation_config: Option<Bytes>,
    pub tokenizer: Bytes,
    /// One or several safetensors files, with their names.
    pub weights: Vec<(String, Bytes)>,
    /// Where all this is on disk, if it is: what is made of it can then be kept.
    pub sources: Option<Sources>,
}

impl ModelFiles {
    /// Files that are part of the program.
    pub fn built_in(
        name: &str,
        config: &'static [u8],
        generation_config: &'static [u8],
        tokenizer: &'static [u8],
        weights: &'static [u8],
    ) -> Self {
        Self {
            name: name.to_owned(),
            config: Bytes::Static(config),
            generation_config: Some(Bytes::Static(generation_config)),
            tokenizer: Bytes::Static(tokenizer),
            weights: vec![("model.safetensors".to_owned(), Bytes::Static(weights))],
            sources: None,
        }
    }

    /// The files of a Hugging Face directory: config.json, tokenizer.json, *.safetensors and perhaps
    /// `generation_config.json`.
    pub fn open(dir: &Path) -> Result<Self, LoadError> {
        let path = |name: &str| dir.join(name);
        let generation_config = path("generation_config.json");
        let mut shards: Vec<_> = fs::read_dir(dir)
            .and_then(|entries| {
                entries
                    .map(|entry| entry.map(|e| e.path()))
                    .collect::<Result<_, _>>()
            })
            .map_err(|source| LoadError::Read {
                path: dir.into(),
                source,
            })?;
        shards.retain(|path| path.extension().is_some_and(|e| e == "safetensors"));
        shards.sort();
        let name = dir.canonicalize().ok().map(|dir| file_name(&dir));
        let mut sources = vec![path("config.json"), path("tokenizer.json")];
        sources.extend(
            generation_config
                .exists()
                .then(|| generation_config.clone()),
        );
        sources.extend(shards.iter().cloned());
        let files = Self {
            name: name.unwrap_or_else(|| dir.to_string_lossy().into_owned()),
            config: read(&path("config.json"))?,
            generation_config: generation_config
                .exists()
                .then(|| read(&generation_config))
                .transpose()?,
            // A later start may not need it.
            tokenizer: map(&path("tokenizer.json"))?,
            sources: Some(Sources::new(dir, "", sources)),
            weights: shards
                .iter()
                .map(|path| Ok((file_name(path), map(path)?)))
                .collect::<Result<_, _>>()?,
        };
        if files.weights.is_empty() {
            return Err(LoadError::NoWeights(dir.into()));
        }
        Ok(files)
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Bytes, LoadError> {
    fs::read(path)
        .map(Bytes::Owned)
        .map_err(|source| LoadError::Read {
            path: path.into(),
            source,
        })
}

fn map(path: &Path) -> Result<Bytes, LoadError> {
    let file = File::open(path).map_err(|source| LoadError::Read {
        path: path.into(),
        source,
    })?;
    // SAFETY: the map is read once, while loading; a checkpoint that somebody truncates in that moment can end this
    // process, as it could end any program that maps files.
    unsafe { Mmap::map(&file) }
        .map(Bytes::Mapped)
        .map_err(|source| LoadError::Read {
            path: path.into(),
            source,
        })
}
