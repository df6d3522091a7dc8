//! Where a model's packed matrices, vectors and tokenizer come from: made of a checkpoint now, and kept in a packed file
//! if that can be written; or out of such a file.

use std::{cell::RefCell, path::PathBuf};

use super::{
    LoadError,
    files::{Bytes, ModelFiles},
    packed::{Packed, Sources, Writer},
    weights::Tensors,
};
use crate::{
    kernels::{Format, Layout, Matrix, Threads, Values, Weights},
    tokenizer::Tokenizer,
};

const TOKENIZER: &str = "tokenizer";
const TREES: &str = "tokenizer.trees";
const SCALE: &str = "embedding_scale";

pub(super) enum Source<'a> {
    Checkpoint {
        tensors: Box<Tensors<'a>>,
        files: &'a [(String, Bytes)],
        threads: &'a Threads,
        weights: Weights,
        keeper: Keeper,
    },
    Packed {
        packed: &'a Packed,
        weights: Weights,
    },
}

/// Writes down what is packed, until something goes wrong.
#[derive(Default)]
pub(super) struct Keeper(RefCell<State>);

#[derive(Default)]
struct State {
    writer: Option<Writer>,
    wrong: Option<std::io::Error>,
}

impl Keeper {
    pub(super) fn new(writer: Writer) -> Self {
        Self(RefCell::new(State {
            writer: Some(writer),
            wrong: None,
        }))
    }

    /// It could not even be begun.
    pub(super) fn failed(error: std::io::Error) -> Self {
        Self(RefCell::new(State {
            writer: None,
            wrong: Some(error),
        }))
    }

    /// What was written, where it lies in the file now.
    fn keep<T>(&self, write: impl FnOnce(&mut Writer) -> std::io::Result<T>) -> Option<T> {
        let mut state = self.0.borrow_mut();
        match write(state.writer.as_mut()?) {
            Ok(kept) => Some(kept),
            Err(error) => {
                *state = State {
                    writer: None,
                    wrong: Some(error),
                };
                None
            }
        }
    }

    /// The file, if all of it could be written; nothing if none was begun.
    fn finish(self, sources: &Sources, threads: &Threads) -> Option<std::io::Result<PathBuf>> {
        let State { writer, wrong } = self.0.into_inner();
        let failed = wrong.map(Err);
        failed.or_else(|| Some(writer?.finish(sources, threads)))
    }
}

impl Source<'_> {
    /// The packed file, if one was begun and could be written.
    pub(super) fn finish(self, sources: &Sources) -> Option<std::io::Result<PathBuf>> {
        match self {
            Self::Packed { .. } => None,
            Self::Checkpoint {
                keeper, threads, ..
            } => keeper.finish(sources, threads),
        }
    }

    /// One matrix of the rows of several tensors, known by the first of their names.
    pub(super) fn matrix(
        &self,
        parts: &[(String, usize)],
        cols: usize,
        layout: Layout,
    ) -> Result<Matrix, LoadError> {
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let name = parts.first().map_or("", |(name, _)| name);
        let wrong = |found| LoadError::WrongShape {
            name: name.into(),
            found,
            expected: vec![rows, cols],
        };
        match self {
            Self::Packed { packed, weights } => {
                let format = Format::of(*weights, layout);
                (packed.matrix(name, (rows, cols), format)).ok_or_else(|| wrong(Vec::new()))
            }
            Self::Checkpoint {
                tensors,
                files,
                threads,
                weights,
                keeper,
            } => {
                let mut all: Option<Values> = None;
                for (part, rows) in parts {
                    let values = tensors.values(part, &[*rows, cols])?;
                    all = Some(match all {
                        Some(all) => all.followed_by(values),
                        None => values,
                    });
                }
                let values = all.unwrap_or(Values::F32(Vec::new()));
                for (_, bytes) in *files {
                    bytes.forget();
                }
                let matrix = Matrix::pack(threads, rows, cols, &values, *weights, layout)
                    .ok_or_else(|| wrong(vec![values.len()]))?;
                Ok((keeper.keep(|writer| writer.matrix(name, &matrix))).unwrap_or(matrix))
            }
        }
    }

    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        match self {
            Self::Packed { packed, .. } => {
                (packed.vector(name, len)).ok_or_else(|| LoadError::MissingTensor {
                    name: name.into(),
                    expected: vec![len],
                })
            }
            Self::Checkpoint {
                tensors, keeper, ..
            } => {
                let vector = tensors.vector(name, len)?;
                keeper.keep(|writer| writer.vector(name, &vector));
                Ok(vector)
            }
        }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        match self {
            Self::Packed { packed, .. } => packed.contains(name),
            Self::Checkpoint { tensors, .. } => tensors.contains(name),
        }
    }

    /// A number that is known only of the checkpoint.
    pub(super) fn scale(&self, of: impl FnOnce(&Tensors<'_>) -> f32) -> Result<f32, LoadError> {
        let scale = match self {
            Self::Packed { packed, .. } => packed.vector(SCALE, 1).unwrap_or_default(),
            Self::Checkpoint {
                tensors, keeper, ..
            } => {
                let scale = vec![of(tensors)];
                keeper.keep(|writer| writer.vector(SCALE, &scale));
                scale
            }
        };
        (scale.first().copied()).ok_or_else(|| LoadError::MissingTensor {
            name: SCALE.into(),
            expected: vec![1],
        })
    }

    /// The tokenizer, with all that it will ever need.
    pub(super) fn tokenizer(
        &self,
        files: &ModelFiles,
        size: usize,
    ) -> Result<Tokenizer, LoadError> {
        let load = || Tokenizer::load(&files.tokenizer()?, size);
        match self {
            Self::Packed { packed, .. } => {
                let opened = packed.flat(TOKENIZER).and_then(Tokenizer::open);
                let opened = opened.filter(|tokenizer| tokenizer.size() == size);
                // A tokenizer of a kind that has no arrays is not kept.
                let tokenizer = opened.map_or_else(load, Ok)?;
                Ok(match packed.flat(TREES) {
                    Some(trees) => tokenizer.with_trees(trees),
                    None => tokenizer,
                })
            }
            Self::Checkpoint { keeper, .. } => {
                let made = load()?;
                let kept = made.flat().and_then(|flat| {
                    let flat = keeper.keep(|writer| writer.flat(TOKENIZER, flat))?;
                    Tokenizer::open(flat)
                });
                let trees = keeper.keep(|writer| writer.flat(TREES, made.trees()));
                let tokenizer = kept.unwrap_or(made);
                Ok(match trees {
                    Some(trees) => tokenizer.with_trees(trees),
                    None => tokenizer,
                })
            }
        }
    }
}
