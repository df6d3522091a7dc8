//! The files of a checkpoint in the Hugging Face layout, in memory, from a directory or built in.

use std::{
    borrow::Cow,
    fs::{self, File},
    ops::Deref,
    path::{Path, PathBuf},
};

use memmap2::{Mmap, UncheckedAdvice};

use super::{
    LoadError, Sources,
    gguf::{Gguf, MAGIC},
    shards::shards,
};

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

impl Bytes {
    /// Gives the memory of what was read of a file back to the system; what is read again comes from the file again.
    pub(super) fn forget(&self) {
        if let Self::Mapped(map) = self {
            // SAFETY: the pages are a file's, and were never written to: what they hold stays the same.
            let _ = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
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
    /// tokenizer.json; a GGUF has its own, in its weights.
    pub tokenizer: Option<Bytes>,
    /// One or several safetensors files, with their names.
    pub weights: Vec<(String, Bytes)>,
    /// Where all this is on disk, if it is: what is made of it can then be kept.
    pub sources: Option<Sources>,
    /// The directory of an adapter that is to be merged into the weights. What is made then is not kept.
    pub lora: Option<PathBuf>,
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
            tokenizer: Some(Bytes::Static(tokenizer)),
            weights: vec![("model.safetensors".to_owned(), Bytes::Static(weights))],
            sources: None,
            lora: None,
        }
    }

    /// A directory or a GGUF, which in some programs' stores is a file without that ending.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        if !path.is_file() {
            return Self::directory(path);
        }
        let ending = path.extension();
        if ending.is_some_and(|e| e.eq_ignore_ascii_case("gguf")) || map(path)?.starts_with(MAGIC) {
            Self::gguf(path)
        } else {
            Err(LoadError::NotGguf(path.into()))
        }
    }

    /// A GGUF, which holds all that a directory does.
    fn gguf(path: &Path) -> Result<Self, LoadError> {
        let (file, bytes) = (file_name(path), map(path)?);
        let wrong = |wrong| LoadError::Gguf {
            file: file.clone(),
            wrong,
        };
        let opened = Gguf::open(&bytes).map_err(wrong)?;
        let (config, generation_config) = opened.config().map_err(wrong)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        Ok(Self {
            name: stem.clone().into_owned(),
            config: Bytes::Owned(config),
            generation_config: Some(Bytes::Owned(generation_config)),
            tokenizer: None,
            sources: Some(Sources::new(dir, &stem, vec![path.to_owned()])),
            weights: vec![(file, bytes)],
            lora: None,
        })
    }

    /// The files of a Hugging Face directory: config.json, tokenizer.json, the weights and perhaps
    /// `generation_config.json`.
    fn directory(dir: &Path) -> Result<Self, LoadError> {
        let path = |name: &str| dir.join(name);
        let generation_config = path("generation_config.json");
        if path("adapter_config.json").exists() && !path("config.json").exists() {
            return Err(LoadError::OnlyAdapter(dir.into()));
        }
        let name = dir.canonicalize().ok().map(|dir| file_name(&dir));
        let config = read(&path("config.json"))?;
        // A later start may not need it.
        let tokenizer = map(&path("tokenizer.json"))?;
        let shards = shards(dir)?;
        let mut sources = vec![path("config.json"), path("tokenizer.json")];
        sources.extend(
            generation_config
                .exists()
                .then(|| generation_config.clone()),
        );
        sources.extend(shards.iter().cloned());
        Ok(Self {
            name: name.unwrap_or_else(|| dir.to_string_lossy().into_owned()),
            config,
            generation_config: generation_config
                .exists()
                .then(|| read(&generation_config))
                .transpose()?,
            tokenizer: Some(tokenizer),
            sources: Some(Sources::new(dir, "", sources)),
            weights: (shards.iter())
                .map(|path| Ok((file_name(path), map(path)?)))
                .collect::<Result<_, _>>()?,
            lora: None,
        })
    }

    /// tokenizer.json. That of a GGUF is made anew, which takes longer than all else of a start from a packed file: only
    /// what needs it asks for it.
    pub fn tokenizer(&self) -> Result<Cow<'_, [u8]>, LoadError> {
        if let Some(tokenizer) = &self.tokenizer {
            return Ok(Cow::Borrowed(tokenizer));
        }
        let Some((file, bytes)) = self.weights.first() else {
            return Err(LoadError::Tokenizer("it is missing".into()));
        };
        (Gguf::open(bytes).and_then(|opened| opened.tokenizer()))
            .map(Cow::Owned)
            .map_err(|wrong| LoadError::Gguf {
                file: file.clone(),
                wrong,
            })
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
