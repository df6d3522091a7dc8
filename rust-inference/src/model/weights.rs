//! Tensors out of a checkpoint's files, checked: present, of the expected shape, of a known type, finite.

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use super::{
    LoadError,
    files::Bytes,
    gguf::{self, Gguf},
    lora::Lora,
    tensor::{Kind, Tensor},
};
use crate::kernels::Values;

/// The opened files of a checkpoint.
pub(super) struct Tensors<'a> {
    files: Vec<File<'a>>,
    /// What is added to them.
    lora: Option<Lora>,
}

enum File<'a> {
    Safetensors(SafeTensors<'a>),
    Gguf(&'a str, Gguf<'a>),
}

impl<'a> Tensors<'a> {
    pub(super) fn open(files: &'a [(String, Bytes)]) -> Result<Self, LoadError> {
        let sources = files.iter().map(|(file, bytes)| File::open(file, bytes));
        Ok(Self {
            files: sources.collect::<Result<_, _>>()?,
            lora: None,
        })
    }

    /// From now on the values are those with the adapter.
    pub(super) fn merge(&mut self, lora: Lora) {
        self.lora = Some(lora);
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.files
            .iter()
            .any(|source| !matches!(source.tensor(name), Ok(None)))
    }

    /// What transformers would round this value to for this tensor: to the type that the checkpoint is run in. Of a GGUF's
    /// types all but f32 are made of a checkpoint in bf16.
    pub(super) fn rounded_as(&self, name: &str, value: f32) -> f32 {
        let rounded = |source: &File<'_>| {
            let kind = source.tensor(name).ok().flatten()?.kind;
            Some(match (source, kind) {
                (_, Kind::F32) => value,
                (File::Safetensors(_), Kind::F16) => f16::from_f32(value).to_f32(),
                _ => bf16::from_f32(value).to_f32(),
            })
        };
        self.files.iter().find_map(rounded).unwrap_or(value)
    }

    /// The values of a tensor of this shape; as it is stored.
    pub(super) fn values(&self, name: &str, expected: &[usize]) -> Result<Values, LoadError> {
        let missing = || LoadError::MissingTensor {
            name: name.into(),
            expected: expected.into(),
        };
        let found = self
            .files
            .iter()
            .find_map(|source| source.tensor(name).transpose());
        let tensor = found.ok_or_else(missing)??;
        if tensor.shape != expected {
            return Err(LoadError::WrongShape {
                name: name.into(),
                found: tensor.shape,
                expected: expected.into(),
            });
        }
        let values = tensor.values();
        match values.first_not_finite() {
            Some((index, value)) => Err(LoadError::NotFinite {
                name: name.into(),
                value,
                index,
            }),
            None => Ok(match &self.lora {
                Some(lora) => lora.merged(name, expected, values),
                None => values,
            }),
        }
    }

    /// Names of all tensors of safetensors files.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.files.iter().flat_map(|source| match source {
            File::Safetensors(file) => file.names(),
            File::Gguf(..) => Vec::new(),
        });
        names.map(Into::into).collect()
    }

    /// The first dimension of a tensor; 0 if there is none.
    pub(super) fn rows(&self, name: &str) -> usize {
        let tensor = self
            .files
            .iter()
            .find_map(|source| source.tensor(name).ok().flatten());
        tensor
            .and_then(|tensor| tensor.shape.first().copied())
            .unwrap_or(0)
    }

    /// A vector, widened to f32.
    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        Ok(self.values(name, &[len])?.into_f32())
    }
}

impl<'a> File<'a> {
    fn open(file: &'a str, bytes: &'a [u8]) -> Result<Self, LoadError> {
        if bytes.starts_with(gguf::MAGIC) {
            return Gguf::open(bytes)
                .map(|opened| Self::Gguf(file, opened))
                .map_err(|wrong| LoadError::Gguf {
                    file: file.into(),
                    wrong,
                });
        }
        SafeTensors::deserialize(bytes)
            .map(Self::Safetensors)
            .map_err(|source| LoadError::Safetensors {
                file: file.into(),
                source,
            })
    }

    fn tensor(&self, name: &str) -> Result<Option<Tensor<'a>>, LoadError> {
        let file = match self {
            Self::Safetensors(file) => file,
            Self::Gguf(file, opened) => {
                return (opened.tensor(name)).map_err(|wrong| LoadError::Gguf {
                    file: (*file).into(),
                    wrong,
                });
            }
        };
        let Ok(view) = file.tensor(name) else {
            return Ok(None);
        };
        let kind = match view.dtype() {
            Dtype::BF16 => Kind::Bf16,
            Dtype::F16 => Kind::F16,
            Dtype::F32 => Kind::F32,
            other => {
                return Err(LoadError::WrongType {
                    name: name.into(),
                    found: format!("{other:?}"),
                });
            }
        };
        Ok(Some(Tensor {
            shape: view.shape().into(),
            kind,
            bytes: view.data(),
            minus: 0.0,
        }))
    }
}
