//! Tensors out of safetensors files, checked: present, of the expected shape, of a known type, finite.

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{LoadError, files::Bytes};
use crate::kernels::Values;

/// The opened files of a checkpoint.
pub(super) struct Tensors<'a>(Vec<SafeTensors<'a>>);

impl<'a> Tensors<'a> {
    pub(super) fn open(files: &'a [(String, Bytes)]) -> Result<Self, LoadError> {
        let open = |(file, bytes): &'a (String, Bytes)| {
            SafeTensors::deserialize(bytes).map_err(|source| LoadError::Safetensors {
                file: file.clone(),
                source,
            })
        };
        Ok(Self(files.iter().map(open).collect::<Result<_, _>>()?))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|file| file.tensor(name).is_ok())
    }

    pub(super) fn in_bf16(&self, name: &str) -> bool {
        let tensor = self.0.iter().find_map(|file| file.tensor(name).ok());
        tensor.is_some_and(|tensor| tensor.dtype() == Dtype::BF16)
    }

    /// The values of a tensor of this shape; as it is stored.
    pub(super) fn values(&self, name: &str, expected: &[usize]) -> Result<Values, LoadError> {
        let tensor = self
            .0
            .iter()
            .find_map(|file| file.tensor(name).ok())
            .ok_or_else(|| LoadError::MissingTensor {
                name: name.into(),
                expected: expected.into(),
            })?;
        if tensor.shape() != expected {
            return Err(LoadError::WrongShape {
                name: name.into(),
                found: tensor.shape().into(),
                expected: expected.into(),
            });
        }
        let values = decode(name, &tensor)?;
        match values.first_not_finite() {
            Some((index, value)) => Err(LoadError::NotFinite {
                name: name.into(),
                value,
                index,
            }),
            None => Ok(values),
        }
    }

    /// A vector, widened to f32.
    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        Ok(self.values(name, &[len])?.into_f32())
    }
}

/// The file's numbers are little-endian and need not be aligned.
fn decode(name: &str, tensor: &TensorView<'_>) -> Result<Values, LoadError> {
    let (pairs, _) = tensor.data().as_chunks::<2>();
    let (quads, _) = tensor.data().as_chunks::<4>();
    match tensor.dtype() {
        Dtype::BF16 => Ok(Values::Bf16(
            pairs.iter().map(|b| bf16::from_le_bytes(*b)).collect(),
        )),
        Dtype::F16 => Ok(Values::F16(
            pairs.iter().map(|b| f16::from_le_bytes(*b)).collect(),
        )),
        Dtype::F32 => Ok(Values::F32(
            quads.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        )),
        other => Err(LoadError::WrongType {
            name: name.into(),
            found: format!("{other:?}"),
        }),
    }
}
