//! All of a model that is read or made at its start.

use super::{
    Config, LoadError, LoadOptions, ModelFiles,
    layer::Layer,
    lora::Lora,
    packed::{self, PackedCache},
    source::{Keeper, Source},
    weights::Tensors,
};
use crate::{
    kernels::{Layout, Matrix, Threads},
    tokenizer::Tokenizer,
};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

pub(super) struct Parts {
    pub(super) tokenizer: Tokenizer,
    pub(super) embedding: Matrix,
    /// The embedding again, unless the checkpoint has a head of its own.
    pub(super) head: Option<Matrix>,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    pub(super) embedding_scale: f32,
    pub(super) packed: PackedCache,
    /// What a person should be told of the packed file.
    pub(super) notes: Vec<String>,
}

impl Parts {
    pub(super) fn load(
        files: &ModelFiles,
        config: &Config,
        options: &LoadOptions,
        threads: &Threads,
    ) -> Result<Self, LoadError> {
        let mut notes = Vec::new();
        let sources = files
            .sources
            .as_ref()
            .filter(|_| options.packed_cache && files.lora.is_none());
        if let Some(sources) = sources
            && let Some((packed, path)) =
                packed::open(sources, options.weights, threads, &mut notes)
        {
            let weights = options.weights;
            let source = Source::Packed {
                packed: &packed,
                weights,
            };
            match Self::of(&source, files, config) {
                Ok(mut parts) => {
                    if packed.moved {
                        packed::renew(&packed, sources, &path, weights, threads);
                    }
                    (parts.packed, parts.notes) = (PackedCache::Used(path), notes);
                    return Ok(parts);
                }
                Err(error) => notes.push(format!("{}: {error}; it is made again", path.display())),
            }
        }
        let mut without = PackedCache::Off;
        let keeper = match sources.map(|sources| packed::begin(sources, options.weights)) {
            None => Keeper::default(),
            Some(Ok(Some(writer))) => Keeper::new(writer),
            Some(Ok(None)) => {
                without = PackedCache::Busy;
                Keeper::default()
            }
            Some(Err(error)) => Keeper::failed(error),
        };
        let mut tensors = Tensors::open(&files.weights)?;
        if let Some(dir) = &files.lora {
            let lora = Lora::open(dir, config).map_err(|error| {
                LoadError::Adapter(format!("the adapter {}: {error}", dir.display()))
            })?;
            tensors.merge(lora);
        }
        let source = Source::Checkpoint {
            tensors: Box::new(tensors),
            files: &files.weights,
            threads,
            weights: options.weights,
            keeper,
        };
        let mut parts = Self::of(&source, files, config)?;
        parts.packed = match sources.and_then(|sources| source.finish(sources)) {
            None => without,
            Some(Ok(path)) => PackedCache::Written(path),
            Some(Err(error)) => {
                notes.push(format!(
                    "cannot keep what was packed for the next start: {error}"
                ));
                PackedCache::Failed
            }
        };
        parts.notes = notes;
        Ok(parts)
    }

    fn of(source: &Source<'_>, files: &ModelFiles, config: &Config) -> Result<Self, LoadError> {
        let table = |name: &str| {
            let rows = [(name.to_owned(), config.vocab_size)];
            source.matrix(&rows, config.hidden_size, Layout::Head)
        };
        Ok(Self {
            embedding: table(EMBEDDING)?,
            head: (!config.tied || source.contains(HEAD))
                .then(|| table(HEAD))
                .transpose()?,
            layers: (0..config.layers.len())
                .map(|index| Layer::load(source, index, config))
                .collect::<Result<_, _>>()?,
            norm: source.vector("model.norm.weight", config.hidden_size)?,
            embedding_scale: source.scale(|tensors| {
                // transformers multiplies in the type of the embedding: in two bytes the scale is rounded.
                tensors.rounded_as(EMBEDDING, (config.hidden_size as f32).sqrt())
            })?,
            tokenizer: source.tokenizer(files, config.vocab_size)?,
            packed: PackedCache::Off,
            notes: Vec::new(),
        })
    }
}
